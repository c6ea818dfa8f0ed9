"""The page: templates, style and script rendered into one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = resources.files("finelens.reporting") / "templates"


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """Return a template's HTML, with the style and the script inside.

    All text of the context is escaped. The page's content security policy lets it load
    nothing and run no script but its own.

    Args:
        template: A file of ``templates/``.
        context: What the template shows.
    """
    environment = Environment(
        loader=PackageLoader("finelens.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count, "opened": opened}
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    shared = {"script": Markup(script), "style": Markup(style), "policy": policy}
    return environment.get_template(template).render(shared | dict(context))


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage with one decimal, or a dash for None."""
    return "–" if fraction is None else f"{fraction:.1%}"


def opened(words: str) -> str:
    """Return words with a capital at their beginning, the rest as it is."""
    return words[:1].upper() + words[1:]


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number with thousands apart, or a dash for None."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def count(value: float | None) -> str:
    """Return a count in words a reader grasps: 950, 12,300, 2.2 M; or a dash for None."""
    if value is None:
        return "–"
    if value >= 1e9:
        return f"{value / 1e9:.2f} G"
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,.0f}"
