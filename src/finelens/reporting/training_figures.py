"""The figures of a training: loss, metrics and learning rate over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from finelens.reporting.chart import INKS, SERIES_INKS, Chart, LegendEntry, draw_chart
from finelens.reporting.early_stop import EarlyStop, told_value
from finelens.reporting.figures import draw_ring
from finelens.reporting.history import History, Series

WIDE_IN = (10.8, 1.9)


def loss_chart(history: History, *, stop: EarlyStop | None = None) -> Chart:
    """Return training and validation loss over epochs, with the phase borders.

    Args:
        history: What was measured.
        stop: How training stopped; drawn where the loss decided it.
    """
    stop = stop if stop and stop.metric == "loss" else None
    splits = [("train", "blue", "training"), ("val", "orange", "validation")]
    drawn = [(history.of(split, "loss"), ink, label) for split, ink, label in splits]

    def draw(axes: Axes) -> None:
        for series, ink, _ in drawn:
            draw_series(axes, series, ink)
        draw_epochs(axes, history)
        draw_stop(axes, stop)
        axes.set_ylabel("loss")

    lowest = _best_epoch(history.of("val", "loss"), lowest=True)
    return draw_chart(
        "loss", draw,
        title="Loss",
        description="Training and validation loss over epochs. " + _ends(drawn),
        legend=[LegendEntry(label, ink) for series, ink, label in drawn if series]
        + _stop_legend(stop),
        note=f"Validation loss was lowest after epoch {lowest}." if lowest else "",
    )  # fmt: skip


def metric_chart(
    history: History,
    names: Mapping[str, str],
    *,
    best_epoch: int | None,
    converged_epoch: int | None = None,
    stop: EarlyStop | None = None,
) -> Chart:
    """Return validation metrics over epochs, with phase borders, the kept epoch and the stop.

    Args:
        history: What was measured.
        names: Metrics in the log, mapped to their words; the first is the main one, whose
            probe value becomes a dashed line.
        best_epoch: The epoch whose weights were kept, 0 for the probe, or None.
        converged_epoch: The first epoch near the main metric's best, or None.
        stop: How training stopped; drawn where one of the metrics decided it.
    """
    stop = stop if stop and stop.metric in names else None
    inks = dict(zip(names, SERIES_INKS, strict=False))
    main = next(iter(names))
    drawn = [(history.of("val", name), ink, names[name]) for name, ink in inks.items()]

    def draw(axes: Axes) -> None:
        if main in history.probe:
            axes.axhline(history.probe[main], color=INKS[inks[main]], linewidth=1, dashes=(4, 3))
        for series, ink, _ in drawn:
            draw_series(axes, series, ink)
        if best_epoch is not None and (kept := history.of("val", main).at(best_epoch)) is not None:
            draw_ring(axes, best_epoch, kept)
        if converged_epoch and (near := history.of("val", main).at(converged_epoch)) is not None:
            axes.plot(converged_epoch, near, "D", markersize=6, color=INKS[inks[main]])
        draw_epochs(axes, history)
        draw_stop(axes, stop)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    legend = [LegendEntry(label, ink) for series, ink, label in drawn if series]
    if main in history.probe:
        legend.append(LegendEntry(f"{names[main]} of the probe", inks[main], "dashed"))
    legend += _stop_legend(stop)
    return draw_chart(
        "metrics", draw,
        title="Validation metrics",
        description="Validation metrics over epochs. " + _ends(drawn),
        legend=legend,
        note=_marked(best_epoch, converged_epoch),
    )  # fmt: skip


def learning_rate_chart(history: History) -> Chart:
    """Return the learning rate over epochs."""
    series = history.of("train", "learning_rate")

    def draw(axes: Axes) -> None:
        draw_series(axes, series, "green")
        draw_epochs(axes, history)
        # room above a rate that hardly moves
        axes.set_ylim(0, 1.08 * max(series.values))

    return draw_chart(
        "learning-rate", draw,
        title="Learning rate", size_in=WIDE_IN,
        description="Learning rate over epochs. " + _ends([(series, "green", "learning rate")]),
    )  # fmt: skip


def draw_series(axes: Axes, series: Series, ink: str, *, label: str | None = None) -> None:
    """Draw one metric over epochs, with a point for each where they are few."""
    marker = "o" if len(series.epochs) <= 30 else ""
    axes.plot(series.epochs, series.values, color=INKS[ink], marker=marker, label=label)


def draw_epochs(axes: Axes, history: History) -> None:
    """Draw the axis of epochs, with the borders of phases and their names on top."""
    last = max(history.num_epochs, 1)
    axes.set_xlim(1 - 0.04 * last, last + 0.04 * last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("epoch")
    for before, after in pairwise(history.phases):
        border = (before.last_epoch + after.first_epoch) / 2
        axes.axvline(border, color=INKS["muted"], linewidth=0.8, dashes=(2, 2))
    if len(history.phases) > 1:
        # names sit on top of the axes, where no curve runs
        for phase in history.phases:
            middle = (phase.first_epoch + phase.last_epoch) / 2
            axes.text(middle, 1.01, phase.name, color=INKS["muted"], ha="center", va="bottom",
                      fontsize=7.5, transform=axes.get_xaxis_transform())  # fmt: skip


def draw_stop(axes: Axes, stop: EarlyStop | None) -> None:
    """Draw the target as a dotted line, and an upright line at the epoch of an early stop."""
    if stop and stop.target is not None:
        axes.axhline(stop.target, color=INKS["ink"], linewidth=1, dashes=(1.5, 2.5))
    if stop and stop.epoch is not None:
        axes.axvline(stop.epoch, color=INKS["ink"], linewidth=1.2)


def _stop_legend(stop: EarlyStop | None) -> list[LegendEntry]:
    legend = []
    if stop and stop.target is not None:
        words = f"target {told_value(stop.metric, stop.target)}"
        legend.append(LegendEntry(words, "ink", "dotted"))
    if stop and stop.epoch is not None:
        legend.append(LegendEntry(f"stopped after epoch {stop.epoch}", "ink", "upright"))
    return legend


def _marked(best_epoch: int | None, converged_epoch: int | None) -> str:
    told = []
    if best_epoch:
        told.append(f"The ring marks epoch {best_epoch}, whose weights were kept.")
    if best_epoch == 0:
        told.append("No epoch beat the probe, whose weights were kept.")
    if converged_epoch:
        told.append(f"The diamond marks epoch {converged_epoch}, the first within 1% of the best.")
    return " ".join(told)


def _best_epoch(series: Series, *, lowest: bool) -> int | None:
    if not series:
        return None
    best = min(series.values) if lowest else max(series.values)
    return series.epochs[series.values.index(best)]


def _ends(drawn: Sequence[tuple[Series, str, str]]) -> str:
    told = [
        f"{label} from {series.values[0]:.3g} to {series.values[-1]:.3g}"
        for series, _, label in drawn
        if series
    ]
    return "; ".join(told) + "." if told else "Nothing was measured."
