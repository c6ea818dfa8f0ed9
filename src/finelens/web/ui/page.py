"""The page: the tabs of a site, joined."""

from __future__ import annotations

import gradio as gr
from gradio.themes import Base

from finelens.web.site import Site
from finelens.web.ui.compare import build_compare
from finelens.web.ui.parts import asset
from finelens.web.ui.predict import build_predict
from finelens.web.ui.report import build_report
from finelens.web.ui.thresholds import build_thresholds
from finelens.web.ui.top import build_top

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Arial", "sans-serif")
_CODE = ("ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace")


def build_page(site: Site) -> gr.Blocks:
    """Return the page of a site; its ``theme``, ``css`` and ``head`` are to be mounted with it."""
    names = list(site.runs)
    with gr.Blocks(title="finelens", analytics_enabled=False) as page:
        with gr.Row(elem_classes="fl-head"):
            gr.HTML("<h1>finelens</h1>", apply_default_css=False)
            chooser = gr.Dropdown(
                names,
                value=names[0],
                label="Run",
                show_label=False,
                visible=len(names) > 1,
                elem_id="fl-run",
            )
        with gr.Tabs():
            build_predict(site, page, chooser)
            build_top(site, page, chooser)
            build_thresholds(site, page, chooser)
            build_report(site, chooser)
            if len(names) > 1:
                build_compare(site)
    page.theme = Base(primary_hue="blue", neutral_hue="slate", font=_FONT, font_mono=_CODE)
    # in the head, since what Gradio takes as css loses its container queries
    page.css = ""
    page.head = f"<style>{asset('style.css')}</style>"
    return page
