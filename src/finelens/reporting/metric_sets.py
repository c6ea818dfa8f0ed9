"""The metric sets: by which metrics each kind of task is tested, told and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_EXAMPLE = ("example.precision", "example.recall", "example.f1")


@dataclass(frozen=True)
class MetricSet:
    """The metrics of a kind of task, as ``record.METRIC_WORDS`` names them, in reading order.

    Attributes:
        tiles: A report opens with.
        tested: Pairs of runs are tested on.
        in_pairs: Tested ones that a comparison's page shows.
        in_verdict: Tested ones that a verdict on two runs tells, the main one first.
        shown: In a comparison's table, of the compared split.
        shown_beside: There, of the other splits.
    """

    tiles: tuple[str, ...]
    tested: tuple[str, ...]
    in_pairs: tuple[str, ...]
    in_verdict: tuple[str, ...]
    shown: tuple[str, ...]
    shown_beside: tuple[str, ...]


METRIC_SETS: Mapping[str, MetricSet] = {
    "mean_average_precision": MetricSet(
        tiles=("mean_average_precision", "example.f1", "macro.f1", "micro.f1"),
        tested=("mean_average_precision", "example.f1", "macro.f1", "micro.f1", "accuracy"),
        in_pairs=("mean_average_precision", "example.f1"),
        in_verdict=("mean_average_precision", "example.f1"),
        shown=("mean_average_precision", *_EXAMPLE, "macro.f1", "micro.f1"),
        shown_beside=("mean_average_precision", *_EXAMPLE),
    ),
    "accuracy": MetricSet(
        tiles=("accuracy", "macro.f1", "top5_accuracy", "mean_average_precision"),
        tested=("accuracy", "macro.f1", "mean_average_precision"),
        in_pairs=("accuracy", "macro.f1"),
        in_verdict=("accuracy",),
        shown=("accuracy", "macro.f1", "mean_average_precision", "top5_accuracy"),
        shown_beside=("accuracy", "macro.f1"),
    ),
}
"""By a task's main metric, ``evaluation.evaluate.main_metric``: multi-label and multi-class."""
