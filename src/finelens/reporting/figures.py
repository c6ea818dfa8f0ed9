"""The figures of scores: each a chart drawn from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from finelens.reporting.chart import INKS, SERIES_INKS, Chart, LegendEntry, draw_chart


@dataclass(frozen=True)
class Line:
    """Points to be joined; x rises."""

    x: Sequence[float]
    y: Sequence[float]


TALL_IN = (5.2, 4.2)


def sweep_chart(
    name: str,
    thresholds: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    title: str,
    chosen: float | None,
    best: Sequence[tuple[str, float, float]],
) -> Chart:
    """Return precision, recall and F1 over one threshold for all classes.

    Args:
        name: Unique on the page.
        thresholds: In [0, 1], rising.
        curves: Words of a curve, mapped to its values.
        title: The heading.
        chosen: The threshold that the decision has for all classes, drawn as a line; or None.
        best: Points to ring and name: a curve's words, the threshold where it is highest, and
            its value there.
    """
    inks = dict(zip(curves, ("blue", "orange", "green", "purple"), strict=False))

    def draw(axes: Axes) -> None:
        if chosen is not None:
            axes.axvline(chosen, color=INKS["muted"], linewidth=1, dashes=(4, 3))
        for label, ink in inks.items():
            axes.plot(thresholds, curves[label], color=INKS[ink], marker="o", markersize=2.5)
        for _, threshold, value in best:
            draw_ring(axes, threshold, value)
        _draw_unit_axes(axes, "threshold", "")

    legend = [LegendEntry(label, ink) for label, ink in inks.items()]
    if chosen is not None:
        legend.append(LegendEntry(f"chosen {chosen:.2f}", "muted", "dashed"))
    told = [f"best {label} {value:.1%} at threshold {where:.2f}" for label, where, value in best]
    note = f"Ringed: {', '.join(told)}."
    return draw_chart(
        name, draw, title=title, legend=legend, note=note,
        description=f"Precision, recall and F1 over the threshold. {note}",
    )  # fmt: skip


def curves_chart(
    name: str,
    by_class: Mapping[int, Line],
    averages: Mapping[str, Line],
    *,
    title: str,
    axis_labels: tuple[str, str],
    is_roc: bool,
    note: str = "",
) -> Chart:
    """Return one faint curve a class and bold ones for averages, on the unit square.

    Args:
        name: Unique on the page.
        by_class: Class numbers, by which the page finds a curve to bring out.
        averages: Words, mapped to their curves.
        title: The heading.
        axis_labels: Of x and y.
        is_roc: Draws the diagonal of chance; lines are straight rather than steps.
        note: A sentence below.
    """
    inks = dict(zip(averages, SERIES_INKS, strict=False))
    style = "default" if is_roc else "steps-pre"

    def draw(axes: Axes) -> None:
        if is_roc:
            axes.plot([0, 1], [0, 1], color=INKS["muted"], linewidth=0.8, dashes=(4, 3))
        for k, curve in by_class.items():
            axes.plot(curve.x, curve.y, color=INKS["muted"], linewidth=0.8, alpha=0.45,
                      drawstyle=style, gid=f"class-curve-{k}")  # fmt: skip
        for label, ink in inks.items():
            curve = averages[label]
            axes.plot(curve.x, curve.y, color=INKS[ink], linewidth=2.2, drawstyle=style)
        _draw_unit_axes(axes, *axis_labels)

    legend = [LegendEntry(label, ink) for label, ink in inks.items()]
    legend.append(LegendEntry("single classes", "muted", "faint"))
    return draw_chart(
        name, draw, title=title, legend=legend, note=note, size_in=TALL_IN,
        description=f"{title}: {axis_labels[1]} over {axis_labels[0]}, one curve a class, "
        f"with averages over all {len(by_class)} classes drawn.",
    )  # fmt: skip


def reliability_chart(bins: Mapping[str, Line], counts: Mapping[str, Sequence[int]]) -> Chart:
    """Return the reliability diagram: how often a probability comes true.

    Args:
        bins: Words (such as "after"), mapped to the fractions that were true over the mean
            probabilities of the bins.
        counts: The same words, mapped to the bins' sizes, which the points show.
    """
    inks = dict(zip(bins, ("muted", "blue"), strict=False))

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INKS["ink"], linewidth=0.8, dashes=(4, 3))
        for label, ink in inks.items():
            line, most = bins[label], max(counts[label], default=1)
            axes.plot(line.x, line.y, color=INKS[ink], linewidth=1.2)
            areas = [8 + 70 * (count / most) ** 0.5 for count in counts[label]]
            axes.scatter(line.x, line.y, s=areas, color=INKS[ink], linewidths=0)
        _draw_unit_axes(axes, "probability said", "fraction true")

    legend = [LegendEntry(label, ink) for label, ink in inks.items()]
    return draw_chart(
        "reliability", draw, size_in=TALL_IN,
        title="Reliability",
        description="Fraction that was true over the probability said, in bins; the diagonal "
        "is perfect calibration.",
        legend=[*legend, LegendEntry("perfect", "ink", "dashed")],
        note="Points below the diagonal: the model is surer than it should be. Larger points hold "
        "more of its statements.",
    )  # fmt: skip


def draw_ring(axes: Axes, x: float, y: float) -> None:
    """Draw the ring that marks a point worth naming."""
    axes.plot(x, y, "o", markersize=9, markerfacecolor="none", markeredgecolor=INKS["ink"],
              markeredgewidth=1.2)  # fmt: skip


def _draw_unit_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.03)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
