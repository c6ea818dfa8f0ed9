"""The chart: one matplotlib figure as inline SVG whose colours follow the page.

Every colour of a figure is one of ``INKS``; in the SVG it becomes a CSS variable with that
colour as its fallback, so that one picture serves light mode, dark mode and paper. Legends are
left to the page, which sets them in its own type.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INKS = {
    "ink": "#1f2328",
    "muted": "#59636e",
    "grid": "#dfe3e8",
    "blue": "#0b6bb5",
    "orange": "#b94e00",
    "green": "#0a7a5c",
    "purple": "#a4508b",
    "yellow": "#94700a",
    "cyan": "#1c86b5",
}
"""Colour names and their light-mode values; style.css holds ``--NAME`` for both modes.

The hues are Okabe and Ito's, darkened to a contrast of at least 4:1 on white: they stay apart
for colour-blind readers.
"""

SERIES_INKS = ("blue", "orange", "green", "purple", "yellow", "cyan")


@dataclass(frozen=True)
class LegendEntry:
    """One line of a chart's legend.

    Attributes:
        label: What the reader sees.
        ink: A name of ``INKS``.
        mark: ``solid``, ``dashed``, ``dotted``, ``dot``, ``faint`` or ``upright``.
    """

    label: str
    ink: str
    mark: str = "solid"


@dataclass(frozen=True)
class Chart:
    """One drawing with its words.

    Attributes:
        title: The heading.
        svg: The drawing, safe to set inline.
        description: What the drawing shows, for those who cannot see it.
        legend: Entries in reading order.
        note: A sentence below the drawing; may be empty.
    """

    title: str
    svg: Markup
    description: str
    legend: tuple[LegendEntry, ...] = ()
    note: str = ""


def draw_chart(
    name: str,
    draw: Callable[[Axes], None],
    *,
    title: str,
    description: str,
    legend: Sequence[LegendEntry] = (),
    note: str = "",
    size_in: tuple[float, float] = (5.2, 3.1),
) -> Chart:
    """Return the chart that ``draw`` puts on one pair of axes.

    Args:
        name: Unique on its page; salts the ids within the SVG. The same name and drawing
            give the same bytes.
        draw: Draws with colours of ``INKS`` only.
        title: The heading.
        description: The alternative text.
        legend: Entries in reading order.
        note: A sentence below the drawing.
        size_in: Width and height in inches of 72 SVG units; the page scales it.
    """
    settings: dict[Any, Any] = {**CHART_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # names in any script: the browser has the glyphs, matplotlib only measures without them
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size_in, layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        nameless = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        # Figure.savefig would lay out and draw everything twice
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nameless)
    return Chart(title, _inline(buffer.getvalue(), description), description, tuple(legend), note)


def _inline(document: str, description: str) -> Markup:
    """Return a matplotlib SVG document as an element that takes its looks from the page."""
    body = document[document.index("<svg") :]
    view_box = re.search(r'viewBox="([^"]+)"', body)
    assert view_box is not None
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]+", "font-family: inherit", body)
    # a group with this id is the curve of a class or an average: the page finds it by number
    body = re.sub(r'id="(class|average)-curve-(\d+)"', r'class="\1-curve" data-\1="\2"', body)
    kept = set(re.findall(r'(?:href="|url\()#(\w+)', body))
    body = re.sub(r'\sid="([^"]+)"', lambda m: m[0] if m[1] in kept else "", body)
    for name, value in INKS.items():
        body = body.replace(value, f"var(--{name}, {value})")
    body = re.sub(r"\s*\n\s*", " ", body)
    head = Markup('<svg viewBox="{}" role="img" aria-label="{}" preserveAspectRatio="xMinYMin">')
    return head.format(view_box[1], description) + Markup(body.strip())


CHART_STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "text.color": INKS["ink"],
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INKS["grid"],
    "axes.labelcolor": INKS["muted"],
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INKS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": INKS["grid"],
    "ytick.color": INKS["grid"],
    "xtick.labelcolor": INKS["muted"],
    "ytick.labelcolor": INKS["muted"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.markersize": 4,
}
