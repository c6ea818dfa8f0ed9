"""Operating points: what every possible threshold on one class's scores would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finelens.evaluation.counts import Counts
from finelens.evaluation.targets import known_columns, require_aligned
from finelens.task import BoolArray, FloatArray


@dataclass(frozen=True)
class OperatingPoints:
    """The G distinct scores of a class, highest first, and the counts if one stops at each.

    Attributes:
        values_G: Distinct scores, falling.
        counts: Counts of shape (G,) when every score of at least ``values_G`` is decided.
        num_negative: How many cells are negative.
    """

    values_G: FloatArray
    counts: Counts
    num_negative: int

    @property
    def num_positive(self) -> int:
        """Return how many cells are positive."""
        return int(self.counts.true[0]) if len(self.values_G) else 0

    @property
    def false_positive_rate(self) -> FloatArray:
        """Return wrongly decided / negative, shape (G,); NaN without negatives."""
        wrong_G = np.subtract(self.counts.decided, self.counts.correct, dtype=float)
        return wrong_G / self.num_negative if self.num_negative else np.full(len(wrong_G), np.nan)

    def thresholds(self) -> FloatArray:
        """Return a threshold for every point, shape (G,): halfway to the next lower score.

        The last lies halfway to 0. ``score >= threshold`` decides exactly the point's cells,
        also where two scores are neighbouring floats.
        """
        lower_G = np.append(self.values_G[1:], min(0.0, self.values_G[-1]))
        middle_G = (self.values_G + lower_G) / 2
        return np.where(middle_G > lower_G, middle_G, self.values_G)


def operating_points(scores_M: FloatArray, positive_M: BoolArray) -> OperatingPoints:
    """Return the operating points of M cells; equal scores share one point."""
    order_M = np.argsort(-scores_M, kind="stable")
    sorted_M = scores_M[order_M]
    last_G = np.flatnonzero(np.append(np.diff(sorted_M) != 0, True)[: len(sorted_M)])
    num_positive = int(positive_M.sum())
    counts = Counts(
        correct=np.cumsum(positive_M[order_M])[last_G],
        decided=last_G + 1,
        true=np.full(len(last_G), num_positive),
    )
    return OperatingPoints(sorted_M[last_G], counts, num_negative=len(scores_M) - num_positive)


def class_operating_points(
    scores_NK: FloatArray, targets_NK: FloatArray
) -> tuple[OperatingPoints, ...]:
    """Return the operating points of each of the K classes over its known cells.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(scores_NK, targets_NK)
    columns = known_columns(scores_NK, targets_NK)
    return tuple(operating_points(scores_M, positive_M) for scores_M, positive_M in columns)
