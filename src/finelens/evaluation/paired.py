"""Paired tests: whether two models differ by more than the choice of pictures explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from finelens.task import BoolArray, FloatArray


@dataclass(frozen=True)
class PairedTest:
    """How far a first model's figure is above a second's on the same pictures.

    Attributes:
        difference: First less second, in [-1, 1].
        low: The lower end of the difference's interval.
        high: The upper end.
        p_value: Two-sided, of no difference, in (0, 1].
        num_first: Pictures that only the first has right; None where none is wholly right
            or wrong (F1, average precision).
        num_second: Pictures that only the second has right, or None.
    """

    difference: float
    low: float
    high: float
    p_value: float
    num_first: int | None = None
    num_second: int | None = None


_UNKNOWN = PairedTest(*[float("nan")] * 4, num_first=0, num_second=0)


def mcnemar_test(
    right_N: BoolArray, other_right_N: BoolArray, *, level: float = 0.95
) -> PairedTest:
    """Return McNemar's exact test of two accuracies on the same N pictures.

    Of the pictures that one model alone has right, each falls to either with probability 1/2
    where the models are equally good: a two-sided binomial test (McNemar 1947; Agresti 2013,
    section 11.1). 1 where there is no such picture. The interval is ``newcombe_interval``.
    All NaN for no pictures.
    """
    if not len(right_N):
        return _UNKNOWN
    num_first = int(np.sum(right_N & ~other_right_N))
    num_second = int(np.sum(other_right_N & ~right_N))
    low, high = newcombe_interval(right_N, other_right_N, level=level)
    num_apart = num_first + num_second
    return PairedTest(
        difference=(num_first - num_second) / len(right_N),
        low=low,
        high=high,
        p_value=float(stats.binomtest(num_first, num_apart).pvalue) if num_apart else 1.0,
        num_first=num_first,
        num_second=num_second,
    )


def group_sign_test(
    right_N: BoolArray,
    other_right_N: BoolArray,
    place_N: NDArray[np.intp],
    ends: tuple[float, float],
) -> PairedTest:
    """Return the exact test of two accuracies on N > 0 pictures that come in groups.

    Pictures of one group are alike, so that it is whole groups that fall to either model where
    the models are equally good: the sign of each group's difference of right pictures is + or -
    with probability 1/2 (Fisher's randomisation test of matched pairs; Good 2005, section 3.2).
    All 2^G flips are counted, not drawn. The p-value is that of as large a sum or a larger one,
    on either side. Of groups of one picture each that is McNemar's exact test. G groups that
    differ give no p-value below 2^(1 - G).

    Args:
        right_N: Whether the first model has a picture right.
        other_right_N: Whether the second has.
        place_N: The number of each picture's group, from 0.
        ends: Of the interval, as ``paired_bootstrap`` gives it by groups.
    """
    num_first = int(np.sum(right_N & ~other_right_N))
    num_second = int(np.sum(other_right_N & ~right_N))
    apart_N = right_N.astype(np.intp) - other_right_N.astype(np.intp)
    sizes_G = np.abs(np.bincount(place_N, apart_N)).astype(np.intp)
    chances_S = np.ones(1)
    for size in sizes_G[sizes_G > 0]:
        # the chance of each sum of the groups that fall to the first, one group more at a time
        none = np.zeros(size)
        chances_S = (np.append(chances_S, none) + np.append(none, chances_S)) / 2
    sums_S = 2 * np.arange(len(chances_S)) - int(sizes_G.sum())
    p_value = float(chances_S[np.abs(sums_S) >= abs(num_first - num_second)].sum())
    return PairedTest(
        difference=(num_first - num_second) / len(right_N),
        low=ends[0],
        high=ends[1],
        p_value=min(p_value, 1.0),
        num_first=num_first,
        num_second=num_second,
    )


def newcombe_interval(
    right_N: BoolArray, other_right_N: BoolArray, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the difference of two accuracies on the same N > 0 pictures.

    Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10: Wilson's intervals of the
    two accuracies, joined with regard to their correlation.
    """
    num_examples = len(right_N)
    both, neither = int(np.sum(right_N & other_right_N)), int(np.sum(~right_N & ~other_right_N))
    rights = int(np.sum(right_N)), int(np.sum(other_right_N))
    first, second = (number / num_examples for number in rights)
    (low, high), (other_low, other_high) = (
        stats.binomtest(number, num_examples).proportion_ci(level, method="wilson")
        for number in rights
    )
    correlation = _correlation(both, neither, *rights)
    below = _joined(first - low, other_high - second, correlation)
    above = _joined(high - first, second - other_low, correlation)
    difference = first - second
    return float(max(-1.0, difference - below)), float(min(1.0, difference + above))


def paired_bootstrap(
    figures: tuple[float, float],
    values_R: FloatArray,
    other_values_R: FloatArray,
    *,
    level: float = 0.95,
    num_groups: int | None = None,
) -> PairedTest:
    """Return the bootstrap test of two figures from their values over the same resamples.

    The interval holds ``level`` of the resampled differences. The p-value is the share of
    them that lie as far from their mean as the difference lies from 0, with 1 added to both
    counts, so that it is never 0 (Efron and Tibshirani 1993, section 16.4; Davison and Hinkley
    1997, section 4.2). Where none lies as far, R resamples say no more than p <= 1 / (R + 1),
    which no correction for many pairs leaves significant at R near 100: then it is the
    two-sided tail of the normal distribution at the difference over the resamples' standard
    deviation (the standard normal interval turned into a test, sections 12.3 and 13.2), if
    that is smaller. With some tens of positives a class the resamples of average precision
    spread a little less than new pictures would: of equal models about 7 in 100, not 5, come
    out below 0.05. Resamples in which a figure is undefined are left out; all NaN where
    none is left.

    Args:
        figures: The first model's and the second's.
        values_R: The first's, as ``intervals.resample`` gives them.
        other_values_R: The second's, of the same seed and pictures.
        level: Of the interval.
        num_groups: How many groups the resamples draw whole, or None. The p-value is then at
            least 2^(1 - G), that of G groups all in favour of one model, since few groups may
            hardly spread by luck.
    """
    difference = figures[0] - figures[1]
    apart_R = values_R - other_values_R
    apart_R = apart_R[~np.isnan(apart_R)]
    if not len(apart_R):
        return PairedTest(difference, low=float("nan"), high=float("nan"), p_value=float("nan"))
    low, high = np.clip(np.quantile(apart_R, [(1 - level) / 2, (1 + level) / 2]), -1, 1)
    # a hair of rounding must not part a difference from its equals
    is_as_far_R = np.abs(apart_R - apart_R.mean()) >= abs(difference) - 1e-12
    p_value = (1 + int(is_as_far_R.sum())) / (1 + len(apart_R))
    if not is_as_far_R.any():
        p_value = min(p_value, _normal_tail(difference, apart_R))
    if num_groups is not None:
        p_value = max(p_value, 2.0 ** (1 - num_groups))
    return PairedTest(difference, float(low), float(high), p_value)


def _normal_tail(difference: float, apart_R: FloatArray) -> float:
    """Return the normal tail beyond a difference other than 0, above 0; 1 for one resample."""
    if len(apart_R) < 2:
        return 1.0
    deviation = float(apart_R.std(ddof=1))
    tail = 2 * stats.norm.sf(abs(difference) / deviation) if deviation else 0.0
    return max(float(tail), float(np.finfo(float).tiny))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being several (Holm 1979), in the order given.

    Each is the smallest level at which the step-down procedure rejects. NaN stays NaN and
    counts as no test.
    """
    values_P = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(values_P))
    order = known[np.argsort(values_P[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected_P = np.full(len(values_P), np.nan)
    corrected_P[order] = np.minimum(np.maximum.accumulate(factors * values_P[order]), 1.0)
    return corrected_P.tolist()


def _correlation(both: int, neither: int, right: int, other_right: int) -> float:
    """Return Newcombe's phi, drawn towards 0 where it is positive; 0 without variation."""
    total = neither + right + other_right - both
    margins = right * (total - right) * other_right * (total - other_right)
    product = both * neither - (right - both) * (other_right - both)
    drawn = max(product - total / 2, 0.0) if product > 0 else product
    return drawn / margins**0.5 if margins else 0.0


def _joined(one: float, other: float, correlation: float) -> float:
    return max(one**2 - 2 * correlation * one * other + other**2, 0.0) ** 0.5
