"""The verdict: what the paired tests say of runs, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from finelens.reporting.page import percent
from finelens.reporting.record import METRIC_WORDS

SIGNIFICANT = 0.05
"""The level of the corrected p-value below which two runs differ."""
_NOTABLE_RATIO = 1.1


@dataclass(frozen=True)
class Contender:
    """A run as the verdict sees it.

    Attributes:
        name: The run's.
        figure: Its main metric on the compared split, or None.
        minutes: How long it trained, or None.
        device: What it was trained on, or None.
        epochs: How many it trained for, or None.
    """

    name: str
    figure: float | None
    minutes: float | None
    device: str | None
    epochs: int | None = None


def tell_verdict(
    runs: Sequence[Contender], pairs: pl.DataFrame, metrics: Sequence[str], *, noun: str = "picture"
) -> str:
    """Return the sentence that says which run is better, and which trained faster.

    Two runs are told apart by each metric given, the main one first; more are held against the
    best by the main one. Runs differ where the corrected p-value is below ``SIGNIFICANT``;
    where a figure or its test is undefined the reason is told. Training times are spoken of
    where they differ by more than a tenth, with the epochs where these differ. Empty for one
    run.

    Args:
        runs: In the order of the table.
        pairs: As ``pairing.pairs_table`` gives it.
        metrics: Names of tested metrics, one or more.
        noun: What the runs' examples are called.
    """
    if len(runs) < 2:
        return ""
    if len(runs) == 2:
        clauses = _of_two(runs, pairs, metrics, noun)
    else:
        clauses = _of_many(runs, pairs, metrics[0], noun)
    return f"{'; '.join(clause for clause in clauses if clause)}."


def best_of(runs: Sequence[Contender]) -> Contender:
    """Return the run with the highest figure; the first of equals."""
    return max(runs, key=lambda run: -1.0 if run.figure is None else run.figure)


def is_significant(pair: Mapping[str, Any]) -> bool:
    """Return whether the runs of a row of the pairs differ."""
    return pair["holm_p_value"] is not None and pair["holm_p_value"] < SIGNIFICANT


def better_of(pair: Mapping[str, Any]) -> str:
    """Return the run with the higher figure of a row of the pairs whose figures are known."""
    return pair["run"] if pair["difference"] > 0 else pair["other"]


def tell_p(value: float | None) -> str:
    """Return a p-value in words, such as ``p = 0.41`` or ``p < 0.001``."""
    if value is None:
        return "p unknown"
    if value < 0.001:
        return "p < 0.001"
    if value > 0.99:
        return "p = 1" if value == 1 else "p > 0.99"
    return f"p = {value:.2f}" if value >= 0.1 else f"p = {value:.3f}"


def tell_points(fraction: float) -> str:
    """Return a difference of fractions in points, with its sign."""
    points = f"{100 * fraction:+.1f}".replace("-", "−")
    return "0.0" if points[1:] == "0.0" else points


def tell_interval(low: float | None, high: float | None) -> str:
    """Return an interval of differences in points, in brackets; empty where there is none."""
    return "" if low is None or high is None else f"[{_bare(low)}, {_bare(high)}]"


def _bare(fraction: float) -> str:
    return tell_points(fraction).removeprefix("+")


def _of_two(
    runs: Sequence[Contender], pairs: pl.DataFrame, metrics: Sequence[str], noun: str
) -> list[str]:
    first, other = (run.name for run in runs)
    found = {row["metric"]: row for row in pairs.iter_rows(named=True)}
    main, *more = (found.get(metric) for metric in metrics)
    if main is None:
        return [f"{first} and {other} cannot be tested: they share no {noun} and label"]
    words = METRIC_WORDS[main["metric"]]
    if not _is_known(main):
        clauses = [f"{first} and {other} cannot be compared in {words}: {_reason(main, noun)}"]
    elif is_significant(main):
        worse = other if better_of(main) == first else first
        clauses = [f"{better_of(main)} is better than {worse} by {_by(main)}"]
    else:
        clauses = [f"{first} and {other} do not differ significantly in {words} "
                   f"({tell_p(main['holm_p_value'])})"]  # fmt: skip
    return [*clauses, *(_beside(row, main, noun) for row in more if row is not None), _speed(runs)]


def _beside(row: Mapping[str, Any], main: Mapping[str, Any], noun: str) -> str:
    """Return the clause of a second metric of two runs, after that of the main one."""
    words = METRIC_WORDS[row["metric"]]
    if not _is_known(row):
        return f"they cannot be compared in {words}: {_reason(row, noun)}"
    if is_significant(row):
        but = "" if is_significant(main) else "but "
        return f"{but}{better_of(row)} is better by {_by(row)}"
    is_alike = _is_known(main) and not is_significant(main)
    clause = "nor do they" if is_alike else "they do not differ significantly"
    return f"{clause} in {words} ({tell_p(row['holm_p_value'])})"


def _is_known(row: Mapping[str, Any]) -> bool:
    return row["holm_p_value"] is not None


def _reason(row: Mapping[str, Any], noun: str) -> str:
    """Return why a row of the pairs has no p-value."""
    number = row["num_pictures"]
    shared = f"{number} {noun if number == 1 else f'{noun}s'} they share"
    figures = {row["run"]: row["figure"], row["other"]: row["other_figure"]}
    lacking = [name for name, figure in figures.items() if figure is None]
    if not lacking:
        return f"no test can be made of the {shared}"
    if row["metric"] == "mean_average_precision":
        return f"no class is true of any of the {shared}"
    return f"it is undefined for {_listed(lacking)} on the {shared}"


def _by(row: Mapping[str, Any]) -> str:
    ends = (row["low"], row["high"])
    if row["difference"] < 0 and None not in ends:
        ends = (-row["high"], -row["low"])
    points = _bare(abs(row["difference"]))
    words = METRIC_WORDS[row["metric"]]
    return f"{points} points of {words} {tell_interval(*ends)}, {tell_p(row['holm_p_value'])}"


def _of_many(runs: Sequence[Contender], pairs: pl.DataFrame, metric: str, noun: str) -> list[str]:
    best = best_of(runs)
    if best.figure is None:
        words = METRIC_WORDS[metric]
        return [f"the runs cannot be compared in {words}: it is undefined for every one"]
    beaten, alike, ahead = [], [], []
    of_metric = pairs.filter(pl.col("metric") == metric)
    for row in of_metric.iter_rows(named=True):
        if best.name not in (row["run"], row["other"]) or not _is_known(row):
            continue
        other = row["other"] if row["run"] == best.name else row["run"]
        group = alike
        if is_significant(row):
            group = beaten if better_of(row) == best.name else ahead
        group.append(other)
    tested = {best.name, *beaten, *alike, *ahead}
    untested = [run.name for run in runs if run.name not in tested]
    near = [run for run in runs if run.name in {best.name, *alike}]
    level = [run.name for run in runs if run.figure == best.figure and run.name != best.name]
    has = f"{best.name} has the highest"
    if level:
        has = f"{_listed([best.name, *level])} have the same"
    opening = f"{has} {METRIC_WORDS[metric]} ({percent(best.figure)})"
    return [
        _standing(opening, beaten, [name for name in alike if name not in level]),
        f"on the {noun}s they share it is worse than {_listed(ahead)}" if ahead else "",
        f"{_listed(untested)} could not be tested against it" if untested else "",
        _fastest(best, near),
    ]  # fmt: skip


def _standing(opening: str, beaten: Sequence[str], alike: Sequence[str]) -> str:
    if beaten and alike:
        return (
            f"{opening}: significantly better than {_listed(beaten)}, not to be told apart from "
            f"{_listed(alike)}"
        )
    if beaten:
        return f"{opening}: significantly better than {_listed(beaten)}"
    return f"{opening}, but cannot be told apart from {_listed(alike)}" if alike else opening


def _fastest(best: Contender, near: Sequence[Contender]) -> str:
    timed = [run for run in near if run.minutes]
    if len(near) < 2 or not best.minutes or not timed:
        return ""
    fastest = min(timed, key=lambda run: run.minutes or 0.0)
    ratio = best.minutes / (fastest.minutes or best.minutes)
    if ratio <= _NOTABLE_RATIO:
        return ""
    return (
        f"of these {fastest.name} trained fastest, {ratio:.1f}x faster than "
        f"{best.name}{_conditions(fastest, best)}"
    )


def _speed(runs: Sequence[Contender]) -> str:
    """Return the clause on two runs' training times; empty where they hardly differ."""
    minutes = [run.minutes or 0.0 for run in runs]
    if min(minutes) <= 0 or max(minutes) / min(minutes) <= _NOTABLE_RATIO:
        return ""
    faster, slower = sorted(runs, key=lambda run: run.minutes or 0.0)
    ratio = max(minutes) / min(minutes)
    return f"{faster.name} trained {ratio:.1f}x faster{_conditions(faster, slower)}"


def _conditions(faster: Contender, slower: Contender) -> str:
    """Return the clauses on what else parts two training times: epochs and device."""
    told = []
    if None not in (faster.epochs, slower.epochs) and faster.epochs != slower.epochs:
        noun = "epoch" if faster.epochs == 1 else "epochs"
        told.append(f", in {faster.epochs} {noun} against {slower.epochs}")
    if faster.device != slower.device:
        told.append(", on another device")
    return "".join(told)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
