"""The summary: a split's headline figures as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finelens.data.media import counted
from finelens.evaluation.other_data import OtherData
from finelens.reporting.record import count_groups, widest_interval
from finelens.runs.directory import RunDirectory, read_json

_SHOWN = {
    "mean AP": ("mean_average_precision",),
    "accuracy": ("accuracy",),
    "example F1": ("example", "f1"),
    "macro F1": ("macro", "f1"),
}


def headline_lines(run: Path) -> Iterator[str]:
    """Return one line a split that a run was evaluated on, test first."""
    directory, examples = RunDirectory(run), examples_of(run)
    for split in directory.evaluated_splits:
        metrics = read_json(directory.evaluation(split) / "metrics.json")
        yield headline_line(metrics, examples=examples)


def examples_of(run: Path) -> str:
    """Return what a complete run is about, ``pictures`` or ``clips``."""
    preprocessing = read_json(RunDirectory(run).model / "preprocessing.json")
    return "pictures" if preprocessing.get("frames") is None else "clips"


def data_warnings(metrics: Mapping[str, Any], *, examples: str) -> list[str]:
    """Return what a reader should know of other data before believing their figures."""
    other_data = OtherData.of_metrics(metrics)
    return [] if other_data is None else other_data.cautions(examples.removesuffix("s"))


def headline_line(metrics: Mapping[str, Any], *, examples: str) -> str:
    """Return a split's headline figures, with the 95 % interval where there is one.

    Where examples share groups it is the wider of those drawn by examples and by whole groups.
    """
    parts, by_group = [], False
    for words, keys in _SHOWN.items():
        value: Any = metrics
        for key in keys:
            value = value[key]
        # exact matches of all classes at once say little of a multi-label model
        if value is None or (words == "accuracy" and metrics["task"] == "multi-label"):
            continue
        interval, is_by_group = widest_interval(metrics, ".".join(keys))
        by_group |= is_by_group
        brackets = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        parts.append(f"{words} {value:.3f}{brackets}")
    unreadable = metrics["num_unreadable"]
    left_out = f", {unreadable} more unreadable" if unreadable else ""
    told, groups = counted(metrics["num_examples"], examples), count_groups(metrics)
    drawn = ""
    if groups is not None:
        told += f" of {counted(groups, 'groups')}"
        drawn = f"; intervals by {'groups where wider' if by_group else examples}"
    return f"{metrics['split']} ({told}{left_out}{drawn}): {', '.join(parts)}"
