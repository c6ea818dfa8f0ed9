"""The comparison's figures: several runs in one picture, each in its own colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from finelens.reporting.chart import INKS, SERIES_INKS, Chart, LegendEntry, draw_chart
from finelens.reporting.figures import Line
from finelens.reporting.run_curves import RunCurves

_LARGE_IN = (6.4, 5.2)


def intervals_chart(
    figures: Sequence[tuple[str, float, tuple[float, float] | None]],
    *,
    title: str,
    noun: str = "picture",
) -> Chart:
    """Return each run's figure as a point on its 95 % interval, the first on top.

    Args:
        figures: Names of runs, their figures and intervals, in [0, 1].
        title: The heading.
        noun: What the runs' examples are called.
    """

    def draw(axes: Axes) -> None:
        for place, (_, value, interval) in enumerate(figures):
            if interval is not None:
                axes.plot(interval, [place, place], color=INKS["blue"], linewidth=5, alpha=0.35)
            axes.plot(value, place, "o", color=INKS["blue"], markersize=6)
        axes.set_yticks(range(len(figures)), [name for name, _, _ in figures])
        axes.set_ylim(len(figures) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))

    told = "; ".join(f"{name} {value:.1%}" for name, value, _ in figures)
    return draw_chart(
        "intervals", draw, title=title, description=f"{title}: {told}.",
        note=f"Bars are 95% intervals of each run alone. Runs judged on the same {noun}s may "
        "differ surely though their bars overlap: the paired tests say so.",
        size_in=(5.2, min(1.0 + 0.42 * len(figures), 12.0)),
    )  # fmt: skip


def runs_chart(curves: Mapping[str, Line], *, title: str) -> Chart:
    """Return one curve a run over epochs; more runs than hues repeat them, dashed.

    Args:
        curves: Names of runs in the order of the table, mapped to values in [0, 1] over epochs;
            a run without points takes its colour all the same.
        title: The heading.
    """
    marks = {
        name: LegendEntry(name, _ink(place), "dashed" if place >= len(SERIES_INKS) else "solid")
        for place, name in enumerate(curves)
        if curves[name].x
    }

    def draw(axes: Axes) -> None:
        for name, mark in marks.items():
            line, style = curves[name], "--" if mark.mark == "dashed" else "-"
            axes.plot(line.x, line.y, style, color=INKS[mark.ink], marker="o", markersize=3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("epoch")

    told = "; ".join(f"{name} ends at {curves[name].y[-1]:.1%}" for name in marks)
    legend = list(marks.values())
    return draw_chart("runs", draw, title=title, description=f"{title}: {told}.", legend=legend)


def roc_runs_chart(runs: Mapping[str, RunCurves], *, title: str, note: str = "") -> Chart:
    """Return the ROC curves of runs: averages bold, single classes faint in the run's colour.

    Args:
        runs: Names in the order of the table, mapped to their curves; at most as many as there
            are hues.
        title: The heading.
        note: A sentence below.
    """
    inks = {name: _ink(place) for place, name in enumerate(runs)}

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INKS["muted"], linewidth=0.8, dashes=(4, 3))
        for name, curves in runs.items():
            for k, line in curves.by_class.items():
                axes.plot(line.x, line.y, color=INKS[inks[name]], linewidth=0.7, alpha=0.22,
                          gid=f"class-curve-{k}")  # fmt: skip
        for place, (name, curves) in enumerate(runs.items()):
            for style, line in (("-", curves.macro), ("--", curves.micro)):
                axes.plot(line.x, line.y, style, color=INKS[inks[name]], linewidth=2.0,
                          gid=f"average-curve-{place}")  # fmt: skip
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.03)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")

    legend = [LegendEntry(name, ink) for name, ink in inks.items()]
    marks = {"macro average": "solid", "micro average": "dashed", "single classes": "faint"}
    legend += [LegendEntry(words, "muted", mark) for words, mark in marks.items()]
    return draw_chart(
        "roc-runs", draw, title=title, legend=legend, note=note, size_in=_LARGE_IN,
        description=f"{title}: true positive rate over false positive rate of {len(runs)} runs, "
        "their macro and micro averages and single classes.",
    )  # fmt: skip


def _ink(place: int) -> str:
    return SERIES_INKS[place % len(SERIES_INKS)]
