"""The tab that shows a run's report, shut off from the page."""

from __future__ import annotations

import gradio as gr

from finelens.web.site import Site
from finelens.web.ui.addresses import report_address
from finelens.web.ui.parts import refused


def build_report(site: Site, chooser: gr.Dropdown) -> None:
    """Add the tab to the page that is being built.

    Args:
        site: What is served.
        chooser: Of the run.
    """

    def show(run_name: str) -> str:
        run = site.run(run_name)
        if not run.directory.report.is_file():
            return refused("There is no report", "`finelens evaluate` writes it")
        return f'<iframe class="fl-frame" src="{report_address(run)}" title="Report"></iframe>'

    with gr.Tab("Report", id="report") as tab:
        frame = gr.HTML(elem_id="fl-report", apply_default_css=False)
    # a report is megabytes: only who looks at it loads it
    tab.select(show, chooser, frame, show_progress="hidden")
    chooser.change(lambda: "", None, frame, show_progress="hidden")
