"""The groups: how a model does on each recording, and how its figures move with other ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from finelens.decision import Decision
from finelens.evaluation.accuracy import right_rows
from finelens.evaluation.counts import count_cells
from finelens.evaluation.intervals import (
    Statistic,
    affordable_resamples,
    bootstrap_interval,
    headline_statistics,
)
from finelens.evaluation.scores import Scores
from finelens.task import BoolArray, FloatArray, Task

GROUP_SCHEMA = {
    "group": pl.String,
    "num_examples": pl.Int64,
    "labels": pl.List(pl.String),
    "accuracy": pl.Float64,
    "example_f1": pl.Float64,
}

_CELLS_AT_ONCE = 4_000_000
_DEALT_IN_ALL = 20_000_000
_DEALING_SEED = 0


def group_figure(task: Task) -> str:
    """Return the column of ``group_table`` that groups are held against one another by."""
    return "example_f1" if task.is_multi_label else "accuracy"


def group_table(scores: Scores, decision: Decision) -> pl.DataFrame:
    """Return one row for each group of labelled pictures, the worst first.

    Columns: group, num_examples, labels (the classes true of any of its pictures, in their
    order), accuracy and example_f1 (as ``metrics.json`` has them, of the group alone). Sorted by
    ``group_figure``; of equals the larger group is first. Pictures without a group are in none.
    No rows where no two pictures share a group.

    Args:
        scores: What the model said.
        decision: How yes is said.
    """
    judged = scores.labelled()
    if not is_grouped(judged.groups):
        return pl.DataFrame(schema=GROUP_SCHEMA)
    figures = _figures(judged, decision)
    names = [judged.task.names(row_K) for row_K in judged.targets_NK == 1]
    labels = pl.Series("labels", names, dtype=pl.List(pl.String))
    in_order = pl.col("labels").explode().drop_nulls().cast(pl.Enum(judged.task.classes))
    return (
        pl.DataFrame({"group": judged.groups, **figures}, schema_overrides={"group": pl.String})
        .with_columns(labels)
        .drop_nulls("group")
        .group_by("group")
        .agg(
            pl.len().cast(pl.Int64).alias("num_examples"),
            in_order.unique().sort().cast(pl.String),
            *(pl.col(name).mean() for name in figures),
        )
        .sort(group_figure(judged.task), "num_examples", "group", descending=[False, True, False])
        .select(*GROUP_SCHEMA)
    )


def summarise_groups(
    scores: Scores, decision: Decision, *, seed: int = 0, resamples: int | None = None
) -> dict[str, Any] | None:
    """Return how uneven a model is over groups, as ``metrics.json`` holds it, or None.

    Keys: num_groups; num_without_group; figure (the name of what follows); mean and deviation
    (the mean over groups, each counting once, and the standard deviation between them);
    deviation_by_chance and p_value (as ``chance_and_p_value``, of multi-class pictures dealt
    within their class); intervals (as ``group_intervals``). NaN where undefined. None where no
    two labelled pictures share a group.

    Args:
        scores: What the model said.
        decision: How yes is said.
        seed: Of the bootstrap.
        resamples: Of the bootstrap; None takes as many as are affordable.
    """
    judged = scores.labelled()
    table = group_table(scores, decision)
    if table.is_empty() or judged.groups is None:
        return None
    figure = group_figure(judged.task)
    values_G = table[figure].to_numpy()
    grouped_N = np.array([group is not None for group in judged.groups])
    by_chance, p_value = chance_and_p_value(
        _figures(judged, decision)[figure][grouped_N],
        group_places([group for group in judged.groups if group is not None]),
        _labels(judged)[grouped_N],
    )
    intervals = group_intervals(judged, decision, seed=seed, resamples=resamples)
    return {
        "num_groups": table.height,
        "num_without_group": int((~grouped_N).sum()),
        "figure": figure,
        "mean": float(values_G.mean()),
        "deviation": float(values_G.std(ddof=1)) if len(values_G) > 1 else float("nan"),
        "deviation_by_chance": by_chance,
        "p_value": p_value,
        "intervals": {name: list(ends) for name, ends in intervals.items()},
    }


def chance_and_p_value(
    values_N: FloatArray,
    place_N: NDArray[np.intp],
    label_N: NDArray[np.intp],
    *,
    permutations: int | None = None,
) -> tuple[float, float]:
    """Return the deviation of groups' means by chance, and the p-value of groups being alike.

    A permutation test (Good 2005, chapter 3): the values are dealt to the groups anew, among
    pictures of equal label only, so that hard classes are not laid on the recordings that hold
    them. The first figure is the root mean square of the deviation between the groups' means
    over the dealings; the second the share of dealings whose means lie as far apart (the sum of
    n_g (mean_g - mean)^2) as those found, with 1 added to both counts. It is valid for groups
    of any size. NaN, both for fewer than two groups, the p-value also where every label is of
    one group alone, since then all dealings put the groups as far apart.

    Args:
        values_N: The figure of each picture.
        place_N: The number of its group, from 0; each number is met.
        label_N: The number of its label; the same for all to deal freely.
        permutations: How many dealings; None takes 1000, or fewer of more than 20 000 pictures.
    """
    sizes_G = np.bincount(place_N)
    if len(sizes_G) < 2:
        return float("nan"), float("nan")
    permutations = permutations or int(np.clip(_DEALT_IN_ALL // len(values_N), 200, 1000))
    sums_RG = _dealt_sums(values_N, place_N, label_N, permutations)
    by_chance = float(np.sqrt((sums_RG / sizes_G).var(axis=1, ddof=1).mean()))
    pairs = np.unique(np.stack([label_N, place_N]), axis=1)
    if np.bincount(pairs[0]).max() < 2:
        return by_chance, float("nan")
    # the mean over all is the same in every dealing, so that the squares alone tell
    apart_R = (sums_RG**2 / sizes_G).sum(axis=1)
    found = float((np.bincount(place_N, values_N) ** 2 / sizes_G).sum())
    # a hair of rounding must not part a dealing from its equals
    is_as_far_R = apart_R >= found - 1e-9 * max(1.0, found)
    return by_chance, (1 + int(is_as_far_R.sum())) / (1 + permutations)


def _dealt_sums(
    values_N: FloatArray, place_N: NDArray[np.intp], label_N: NDArray[np.intp], permutations: int
) -> FloatArray:
    """Return the groups' sums of values dealt anew within labels, shape (permutations, G)."""
    generator = np.random.Generator(np.random.Philox(_DEALING_SEED))
    by_label_N = np.argsort(label_N, kind="stable")
    own_N = values_N[by_label_N]
    ends = np.cumsum(np.bincount(label_N))
    by_group_N = np.argsort(place_N[by_label_N], kind="stable")
    starts_G = np.append(0, np.cumsum(np.bincount(place_N))[:-1])
    at_once = max(1, _CELLS_AT_ONCE // len(values_N))
    sums = []
    for start in range(0, permutations, at_once):
        dealt_RN = np.tile(own_N, (min(at_once, permutations - start), 1))
        for first, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            dealt_RN[:, first:end] = generator.permuted(dealt_RN[:, first:end], axis=1)
        sums.append(np.add.reduceat(dealt_RN[:, by_group_N], starts_G, axis=1))
    return np.concatenate(sums)


def group_intervals(
    judged: Scores,
    decision: Decision,
    *,
    seed: int,
    resamples: int | None = None,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Return the intervals of ``headline_intervals``, drawn by whole groups.

    Pictures of one recording are alike, so that drawing them one by one makes intervals too
    narrow. Here the groups are drawn with replacement, each with all its pictures (Davison and
    Hinkley 1997, section 3.8, strategy 1; Field and Welsh 2007); a picture without a group is
    one of its own. With few groups even these intervals are too narrow (Cameron, Gelbach and
    Miller 2008). (NaN, NaN) for fewer than two groups.

    Args:
        judged: Labelled, readable pictures.
        decision: How yes is said.
        seed: Of the bootstrap.
        resamples: Of the bootstrap; None takes ``affordable_resamples``.
        level: What the intervals hold.
    """
    probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
    decisions_NK = decision.decide(probabilities_NK)
    place_N = group_places(judged.groups or (None,) * judged.num_examples)
    statistics = headline_statistics(probabilities_NK, decisions_NK, judged.targets_NK)
    return {
        name: bootstrap_interval(
            by_groups(statistic, place_N),
            int(place_N.max(initial=-1)) + 1,
            seed=seed,
            resamples=resamples or affordable_resamples(*judged.targets_NK.shape),
            level=level,
        )
        for name, statistic in statistics.items()
    }


def by_groups(statistic: Statistic, place_N: NDArray[np.intp]) -> Statistic:
    """Return a statistic of pictures as one of groups: a picture counts as often as its group."""
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(place_N)))

    def of_groups(weights_GR: FloatArray) -> FloatArray:
        # few groups may hold many pictures: not all resamples fit in memory
        starts = range(0, weights_GR.shape[1], at_once)
        parts = (weights_GR[place_N, start : start + at_once] for start in starts)
        return np.concatenate([statistic(weights_NR) for weights_NR in parts])

    return of_groups


def group_places(groups: Sequence[str | None]) -> NDArray[np.intp]:
    """Return the number of each picture's group, from 0; one of its own where it has none."""
    numbers: dict[object, int] = {}
    for n, group in enumerate(groups):
        numbers.setdefault((n,) if group is None else group, len(numbers))
    return np.array([numbers[(n,) if group is None else group] for n, group in enumerate(groups)],
                    dtype=np.intp)  # fmt: skip


def _labels(judged: Scores) -> NDArray[np.intp]:
    """Return the number of each picture's class; 0 for all where it may have several."""
    if judged.task.is_multi_label:
        return np.zeros(judged.num_examples, dtype=np.intp)
    return (judged.targets_NK == 1).argmax(axis=1)


def is_grouped(groups: Sequence[str | None] | None) -> bool:
    """Return whether any two pictures share a group."""
    named = [group for group in groups or () if group is not None]
    return len(set(named)) < len(named)


def _figures(judged: Scores, decision: Decision) -> dict[str, FloatArray]:
    """Return each picture's figures, whose means are those of ``metrics.json``, shape (N,)."""
    decisions_NK = decision.decide(decision.probabilities(judged.task, judged.logits_NK))
    right_N: BoolArray = right_rows(decisions_NK, judged.targets_NK)
    return {
        "accuracy": right_N.astype(float),
        "example_f1": count_cells(decisions_NK, judged.targets_NK).sum(axis=1).f1,
    }
