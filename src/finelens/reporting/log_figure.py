"""The log's figure: loss and accuracy over epochs as a picture file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from finelens.reporting.chart import CHART_STYLE, INKS, SERIES_INKS
from finelens.reporting.history import Series
from finelens.reporting.record import logged_words
from finelens.reporting.training_figures import draw_epochs, draw_series
from finelens.reporting.training_log import TrainingLog

PICTURE_KINDS = (".png", ".svg", ".pdf")
SOFTWARE = "finelens"
"""What a PNG's metadata name as its maker."""

_DOTS_PER_IN = 160
_PANEL_IN = (5.6, 3.9)
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": SOFTWARE},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
_SPLIT_WORDS = {"train": "training", "val": "validation"}


def draw_log(log: TrainingLog, path: Path) -> None:
    """Draw the loss, and beside it the main figures, over epochs with the phase borders.

    Epochs must have been measured. A panel for which nothing was is left out.

    Args:
        log: What was measured.
        path: Where the picture goes; its suffix is one of ``PICTURE_KINDS``.
    """
    panels = [names for names in (("loss",), log.metrics) if _series(log, names)]
    settings: dict[Any, Any] = {**CHART_STYLE, "figure.facecolor": "white", "svg.hashsalt": "log"}
    settings["svg.fonttype"] = "path"
    with mpl.rc_context(settings), warnings.catch_warnings():
        # a font that lacks a script draws boxes; the curves are still right
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        size_in = (_PANEL_IN[0] * len(panels), _PANEL_IN[1])
        figure = Figure(figsize=size_in, layout="constrained")
        figure.suptitle(log.name, x=0.01, ha="left", fontsize=11, color=INKS["ink"])
        for axes, names in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels,
                               strict=True):  # fmt: skip
            _draw_panel(axes, log, names)
        figure.savefig(path, dpi=_DOTS_PER_IN, metadata=_METADATA[path.suffix])


def _draw_panel(axes: Axes, log: TrainingLog, names: Sequence[str]) -> None:
    is_loss = tuple(names) == ("loss",)
    for (split, name, series), ink in zip(_series(log, names), SERIES_INKS, strict=False):
        label = f"{_SPLIT_WORDS.get(split, split)} {logged_words(name)}"
        draw_series(axes, series, ink, label=label)
        if split == "val" and name in log.history.probe:
            axes.axhline(log.history.probe[name], color=INKS[ink], linewidth=1, dashes=(4, 3),
                         label=f"{logged_words(name)}, {log.baseline}")  # fmt: skip
    draw_epochs(axes, log.history)
    axes.set_ylabel("loss" if is_loss else "")
    if not is_loss:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(edgecolor="none", facecolor="white", framealpha=0.85, labelcolor=INKS["ink"])


def _series(log: TrainingLog, names: Sequence[str]) -> list[tuple[str, str, Series]]:
    return [
        (split, name, series)
        for name in names
        for split in log.splits
        if (series := log.history.of(split, name))
    ]
