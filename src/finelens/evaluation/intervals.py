"""Intervals: how far a figure would move if other pictures had been drawn (bootstrap)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from finelens.evaluation.accuracy import right_rows
from finelens.evaluation.counts import Counts, count_cells
from finelens.evaluation.targets import labelled_rows
from finelens.task import BoolArray, FloatArray

Statistic = Callable[[FloatArray], FloatArray]
"""From weights (N, R), how often each of N pictures is in each of R samples, to R values."""

_CELLS_A_CHUNK = 1_000_000
_CELLS_IN_ALL = 400_000_000


def bootstrap_interval(
    statistic: Statistic,
    num_examples: int,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the interval that holds ``level`` of the statistic's values over resamples.

    The quantiles of ``resample``, clipped to [0, 1]. (NaN, NaN) for fewer than two pictures
    or an undefined figure.
    """
    _, values_R = resample(statistic, num_examples, seed=seed, resamples=resamples)
    if np.isnan(values_R).all():
        return float("nan"), float("nan")
    low, high = np.clip(np.nanquantile(values_R, [(1 - level) / 2, (1 + level) / 2]), 0, 1)
    return float(low), float(high)


def resample(
    statistic: Statistic, num_examples: int, *, seed: int, resamples: int
) -> tuple[float, FloatArray]:
    """Return a statistic's figure, and its values over resamples of the pictures, shape (R,).

    Pictures are drawn with replacement (Efron and Tibshirani 1993, chapter 13). The values
    are moved so that their mean lies on the figure itself: copies of a picture tie with one
    another, which raises average precision in every resample and says nothing of the figure.
    The same seed gives the same resamples to every statistic, so that the values of two
    models are pairs. All NaN for fewer than two pictures or an undefined figure.
    """
    figure = statistic(np.ones((num_examples, 1), dtype=np.float32))[0] if num_examples else np.nan
    if num_examples < 2 or np.isnan(figure):
        return float(figure), np.full(resamples, np.nan)
    generator = np.random.Generator(np.random.Philox(seed))
    a_chunk = max(1, _CELLS_A_CHUNK // num_examples)
    sizes = [min(a_chunk, resamples - start) for start in range(0, resamples, a_chunk)]
    values_R = np.concatenate([statistic(_draw(generator, num_examples, size)) for size in sizes])
    return float(figure), values_R + (figure - np.nanmean(values_R))


def affordable_resamples(num_examples: int, num_classes: int, *, most: int = 1000) -> int:
    """Return how many resamples to draw: ``most`` while cells are few, then fewer, at least 100.

    A thousand up to 400 000 cells, which keeps all intervals within some seconds; many cells
    make narrow intervals, whose ends need fewer resamples.
    """
    return int(np.clip(_CELLS_IN_ALL // max(1, num_examples * num_classes), 100, most))


def headline_intervals(
    probabilities_NK: FloatArray,
    decisions_NK: BoolArray,
    targets_NK: FloatArray,
    *,
    seed: int,
    resamples: int | None = None,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Return the intervals of accuracy, example, macro and micro F1 and mean average precision.

    Resamples the pictures that have labels; None takes ``affordable_resamples``.
    """
    rows_N = labelled_rows(targets_NK)
    targets_MK = targets_NK[rows_N]
    statistics = headline_statistics(probabilities_NK[rows_N], decisions_NK[rows_N], targets_MK)
    resamples = resamples or affordable_resamples(*targets_MK.shape)
    return {
        name: bootstrap_interval(
            statistic, len(targets_MK), seed=seed, resamples=resamples, level=level
        )
        for name, statistic in statistics.items()
    }


def headline_statistics(
    probabilities_NK: FloatArray, decisions_NK: BoolArray, targets_NK: FloatArray
) -> dict[str, Statistic]:
    """Return the figures that have intervals as statistics of N pictures, all with labels."""
    return {
        "accuracy": _mean_of(right_rows(decisions_NK, targets_NK)),
        "example_f1": _mean_of(count_cells(decisions_NK, targets_NK).sum(axis=1).f1),
        "macro_f1": macro_f1_statistic(decisions_NK, targets_NK),
        "micro_f1": micro_f1_statistic(decisions_NK, targets_NK),
        "mean_average_precision": mean_average_precision_statistic(probabilities_NK, targets_NK),
    }


def macro_f1_statistic(decisions_NK: BoolArray, targets_NK: FloatArray) -> Statistic:
    """Return ``metrics.macro_f1`` of weighted pictures.

    A class that a resample neither holds nor decides says nothing of the model there: it is left
    out of the resample's mean, which is NaN where no class is left. A class that no picture at
    all holds or decides stays an F1 of 0, as in ``metrics.macro_f1``, in every resample.
    """
    known_K = ~np.isnan(targets_NK).all(axis=0)
    cells = count_cells(decisions_NK[:, known_K], targets_NK[:, known_K])
    met_K = np.logical_or(cells.decided, cells.true).any(axis=0)
    if not met_K.any():
        return lambda weights_NR: np.full(weights_NR.shape[1], 0.0 if known_K.any() else np.nan)

    def statistic(weights_NR: FloatArray) -> FloatArray:
        counts = _weighted(cells, weights_NR)
        drawn_R = ((counts.decided > 0) | (counts.true > 0)).sum(axis=1)
        return _mean_of_drawn(counts.f1.sum(axis=1), drawn_R) * met_K.mean()

    return statistic


def micro_f1_statistic(decisions_NK: BoolArray, targets_NK: FloatArray) -> Statistic:
    """Return ``metrics.micro_f1`` of weighted pictures."""
    examples = count_cells(decisions_NK, targets_NK).sum(axis=1)
    return lambda weights_NR: _weighted(examples, weights_NR).f1


def mean_average_precision_statistic(scores_NK: FloatArray, targets_NK: FloatArray) -> Statistic:
    """Return ``mean_average_precision`` of weighted pictures; scores are sorted only once."""
    classes = [
        _average_precision_statistic(scores_NK[:, k], targets_NK[:, k])
        for k in range(targets_NK.shape[1])
        if (targets_NK[:, k] == 1).any()
    ]

    def statistic(weights_NR: FloatArray) -> FloatArray:
        if not classes:
            return np.full(weights_NR.shape[1], np.nan)
        values_KR = np.stack([of_class(weights_NR) for of_class in classes])
        return _mean_of_drawn(np.nansum(values_KR, axis=0), (~np.isnan(values_KR)).sum(axis=0))

    return statistic


def _average_precision_statistic(scores_N: FloatArray, targets_N: FloatArray) -> Statistic:
    rows = np.flatnonzero(~np.isnan(targets_N))
    order = rows[np.argsort(-scores_N[rows], kind="stable")]
    sorted_M, places_P = scores_N[order], np.flatnonzero(targets_N[order] == 1)
    # positives of one score share a point; G such points cut the order into stretches
    first_G = np.flatnonzero(np.append(True, np.diff(sorted_M[places_P]) != 0))
    ends_G = np.searchsorted(-sorted_M, -sorted_M[places_P[first_G]], side="right")
    starts_G, reached = np.append(0, ends_G[:-1]), order[: ends_G[-1]]

    def statistic(weights_NR: FloatArray) -> FloatArray:
        decided_GR = np.cumsum(np.add.reduceat(weights_NR[reached], starts_G, axis=0), axis=0)
        rise_GR = np.add.reduceat(weights_NR[order[places_P]], first_G, axis=0)
        correct_GR = np.cumsum(rise_GR, axis=0)
        area_R = np.sum(rise_GR * correct_GR / np.maximum(decided_GR, 1), axis=0, dtype=float)
        true_R = correct_GR[-1]
        return np.divide(area_R, true_R, out=np.full(len(true_R), np.nan), where=true_R > 0)

    return statistic


def _mean_of_drawn(sums_R: FloatArray, drawn_R: NDArray[np.integer]) -> FloatArray:
    """Return the mean over the classes that each resample holds, NaN where it holds none."""
    return np.divide(sums_R, drawn_R, out=np.full(len(sums_R), np.nan), where=drawn_R > 0)


def _mean_of(values_N: FloatArray | BoolArray) -> Statistic:
    column_N = values_N.astype(float)
    return lambda weights_NR: column_N @ weights_NR / weights_NR.sum(axis=0)


def _weighted(counts: Counts, weights_NR: FloatArray) -> Counts:
    parts = (counts.correct, counts.decided, counts.true)
    return Counts(*(weights_NR.T @ part.astype(np.float32) for part in parts))


def _draw(generator: np.random.Generator, num_examples: int, resamples: int) -> FloatArray:
    drawn_RN = generator.integers(0, num_examples, (resamples, num_examples))
    cells = (drawn_RN + num_examples * np.arange(resamples)[:, None]).ravel()
    counts = np.bincount(cells, minlength=num_examples * resamples)
    return np.ascontiguousarray(counts.reshape(resamples, num_examples).T, dtype=np.float32)
