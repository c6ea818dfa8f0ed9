"""The pairing: runs tested against one another on the pictures that both were judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from finelens.evaluation.accuracy import right_rows
from finelens.evaluation.evaluate import main_metric
from finelens.evaluation.groups import by_groups, group_places, is_grouped
from finelens.evaluation.intervals import affordable_resamples, headline_statistics, resample
from finelens.evaluation.paired import (
    PairedTest,
    group_sign_test,
    holm,
    mcnemar_test,
    paired_bootstrap,
)
from finelens.reporting.evidence import Evidence
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.task import BoolArray, FloatArray, Task

MOST_IN_ALL_PAIRS = 10
"""More runs than these are each tested against the best one only."""

_BY_GROUP = "by group"
"""What the name of a test holds that takes whole groups."""

PAIR_SCHEMA = {
    "run": pl.String, "other": pl.String, "metric": pl.String, "test": pl.String,
    "num_pictures": pl.Int64, "figure": pl.Float64, "other_figure": pl.Float64,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "p_value": pl.Float64,
    "holm_p_value": pl.Float64, "only_run_right": pl.Int64, "only_other_right": pl.Int64,
}  # fmt: skip

_MOST_RESAMPLES = 2000
_SEED = 0

Rows = NDArray[np.intp]
Resampled = Mapping[str, tuple[float, FloatArray]]


@dataclass(frozen=True)
class Judged:
    """A run's N labelled pictures of a split, as its own decision judges them."""

    name: str
    task: Task
    ids: tuple[str, ...]
    probabilities_NK: FloatArray
    decisions_NK: BoolArray
    targets_NK: FloatArray
    groups: tuple[str | None, ...] | None = None


def judge(name: str, evidence: Evidence) -> Judged:
    """Return the readable pictures with labels of a run's split."""
    scores = evidence.scores.labelled()
    probabilities_NK = evidence.decision.probabilities(scores.task, scores.logits_NK)
    decisions_NK = evidence.decision.decide(probabilities_NK)
    return Judged(
        name, scores.task, scores.ids, probabilities_NK, decisions_NK, scores.targets_NK,
        scores.groups,
    )  # fmt: skip


def common_rows(first: Judged, other: Judged) -> tuple[Rows, Rows]:
    """Return the rows, in each of two runs, of the pictures that both hold with equal labels.

    Both are empty where the runs are different tasks or have other classes.
    """
    if first.task != other.task:
        return np.array([], dtype=np.intp), np.array([], dtype=np.intp)
    place = {name: row for row, name in enumerate(other.ids)}
    found = [(row, place[name]) for row, name in enumerate(first.ids) if name in place]
    rows_M, other_rows_M = np.array(found, dtype=np.intp).reshape(-1, 2).T
    targets_MK, other_MK = first.targets_NK[rows_M], other.targets_NK[other_rows_M]
    same_M = ((targets_MK == other_MK) | (np.isnan(targets_MK) & np.isnan(other_MK))).all(axis=1)
    return rows_M[same_M], other_rows_M[same_M]


def pairs_table(runs: Sequence[Judged], best: str) -> pl.DataFrame:
    """Return one row for every pair of runs and every metric tested; columns of ``PAIR_SCHEMA``.

    Accuracy is tested by McNemar's test, the others by the paired bootstrap; ``holm_p_value``
    is corrected for all pairs of its metric. Where common pictures share a group, whole groups
    are drawn, and flipped in place of McNemar's test. Fractions in [0, 1], the difference is the
    run's less the other's; null where a figure is undefined. Pairs without a common picture have
    no rows.

    Args:
        runs: In the order of the table.
        best: The run that the others are held against where there are more than
            ``MOST_IN_ALL_PAIRS``.
    """
    pairs = list(combinations(runs, 2))
    if len(runs) > MOST_IN_ALL_PAIRS:
        pairs = [pair for pair in pairs if best in (pair[0].name, pair[1].name)]
    resampled: dict[tuple[str, bytes, bytes], Resampled] = {}
    rows = [row for pair in pairs for row in _test(*pair, resampled)]
    table = pl.DataFrame(rows, schema=PAIR_SCHEMA).fill_nan(None)
    return table.with_columns(
        pl.col("p_value")
        .map_batches(_holm, return_dtype=pl.Float64)
        .over("metric")
        .alias("holm_p_value")
    )


def _test(
    first: Judged, other: Judged, resampled: dict[tuple[str, bytes, bytes], Resampled]
) -> list[dict[str, Any]]:
    both = common_rows(first, other)
    if not len(both[0]):
        return []
    place_M = _common_places((first, other), both)
    figures = []
    for run, rows_M in zip((first, other), both, strict=True):
        # all pairs of runs judged alike share their resamples
        key = (run.name, rows_M.tobytes(), b"" if place_M is None else place_M.tobytes())
        resampled[key] = resampled.get(key) or _resample(run, rows_M, place_M)
        figures.append(resampled[key])
    return [
        {"run": first.name, "other": other.name, "metric": metric, "num_pictures": len(both[0])}
        | _tested(metric, (first, other), both, place_M, figures)
        for metric in METRIC_SETS[main_metric(first.task)].tested
    ]


def _common_places(pair: tuple[Judged, Judged], both: tuple[Rows, Rows]) -> Rows | None:
    """Return the number of each common picture's group, or None where no two share one.

    The groups are those of the first run that has any: a run scored before pictures had groups
    holds none.
    """
    for run, rows_M in zip(pair, both, strict=True):
        groups = [run.groups[row] for row in rows_M] if run.groups else None
        if groups and is_grouped(groups):
            return group_places(groups)
    return None


def _resample(run: Judged, rows_M: Rows, place_M: Rows | None) -> Resampled:
    targets_MK = run.targets_NK[rows_M]
    statistics = headline_statistics(
        run.probabilities_NK[rows_M], run.decisions_NK[rows_M], targets_MK
    )
    num_drawn = len(targets_MK)
    if place_M is not None:
        num_drawn = int(place_M.max()) + 1
        statistics = {name: by_groups(one, place_M) for name, one in statistics.items()}
    resamples = affordable_resamples(*targets_MK.shape, most=_MOST_RESAMPLES)
    return {
        name: resample(statistic, num_drawn, seed=_SEED, resamples=resamples)
        for name, statistic in statistics.items()
    }


def _tested(
    metric: str,
    pair: tuple[Judged, Judged],
    both: tuple[Rows, Rows],
    place_M: Rows | None,
    figures: list[Resampled],
) -> dict[str, Any]:
    (figure, values_R), (other_figure, other_values_R) = (
        of_run[metric.replace(".", "_")] for of_run in figures
    )
    rights = [
        right_rows(run.decisions_NK[rows_M], run.targets_NK[rows_M])
        for run, rows_M in zip(pair, both, strict=True)
    ]
    values = ((figure, other_figure), values_R, other_values_R)
    if place_M is None and metric == "accuracy":
        words, test = "McNemar", mcnemar_test(rights[0], rights[1])
    elif place_M is None:
        words, test = "paired bootstrap", paired_bootstrap(*values)
    else:
        words = f"paired bootstrap {_BY_GROUP}"
        test = paired_bootstrap(*values, num_groups=int(place_M.max()) + 1)
        if metric == "accuracy":
            words = f"McNemar {_BY_GROUP} (sign flips)"
            test = group_sign_test(rights[0], rights[1], place_M, (test.low, test.high))
    return {"test": words, "figure": figure, "other_figure": other_figure, **_row(test)}


def _row(test: PairedTest) -> dict[str, Any]:
    return {
        "difference": test.difference, "low": test.low, "high": test.high,
        "p_value": test.p_value, "only_run_right": test.num_first,
        "only_other_right": test.num_second,
    }  # fmt: skip


def _holm(p_values: pl.Series) -> pl.Series:
    corrected = holm(p_values.fill_null(float("nan")).to_list())
    return pl.Series(corrected, dtype=pl.Float64).fill_nan(None)
