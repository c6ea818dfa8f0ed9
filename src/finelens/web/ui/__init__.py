"""The page for people: tabs of Gradio over the served runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio import Blocks

    from finelens.web.site import Site


def build_page(site: Site) -> Blocks:
    """Return the page of a site; its ``theme``, ``css`` and ``head`` are to be mounted with it."""
    # Gradio takes seconds to import, which a program that only predicts need not wait for
    from finelens.web.ui import page

    return page.build_page(site)
