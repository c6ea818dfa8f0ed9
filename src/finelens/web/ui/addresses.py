"""The addresses of the REST API that the page shows pictures and reports from."""

from __future__ import annotations

from urllib.parse import urlencode

from finelens.web.served_run import ServedRun


def item_address(run: ServedRun, item: str, *, is_large: bool = False) -> str:
    """Return where an item is shown, ready to stand in an attribute."""
    large = "&amp;large=true" if is_large else ""
    return f"/v1/items/{item}?{urlencode({'run': run.name})}{large}"


def report_address(run: ServedRun) -> str:
    """Return where a run's report is."""
    return f"/v1/report?{urlencode({'run': run.name})}"
