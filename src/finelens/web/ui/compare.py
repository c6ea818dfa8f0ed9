"""The tab that compares the served runs, shut off from the page."""

from __future__ import annotations

import asyncio
from html import escape

import gradio as gr
from fastapi.concurrency import run_in_threadpool

from finelens.errors import FinelensError
from finelens.web.site import Site
from finelens.web.ui.parts import refused


def build_compare(site: Site) -> None:
    """Add the tab to the page that is being built."""
    computing = asyncio.Lock()
    computed: dict[tuple[object, ...], str] = {}

    async def compare() -> str:
        # the tests between runs take seconds: they are made once, until thresholds or scores change
        async with computing:
            state = tuple((run.decision, run.items.stamps()) for run in site.runs.values())
            if state not in computed:
                computed.clear()
                computed[state] = await run_in_threadpool(_compared, site)
            return computed[state]

    with gr.Tab("Compare", id="compare") as tab:
        frame = gr.HTML(elem_id="fl-compare", apply_default_css=False)
    tab.select(compare, None, frame)


def _compared(site: Site) -> str:
    # what draws takes a second to import, for which nobody who opens the page should wait
    from finelens.reporting.comparison import compare_runs
    from finelens.reporting.comparison_page import comparison_context
    from finelens.reporting.page import render_page

    directories = [run.directory for run in site.runs.values()]
    is_tested = all("test" in directory.evaluated_splits for directory in directories)
    try:
        comparison = compare_runs(directories, "test" if is_tested else "val")
    except FinelensError as error:
        return refused("The runs cannot be compared", str(error))
    page = render_page("comparison.html.jinja", comparison_context(comparison))
    return (
        '<iframe class="fl-frame" sandbox="allow-scripts" title="Comparison" '
        f'srcdoc="{escape(page)}"></iframe>'
    )
