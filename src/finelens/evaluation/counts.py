"""Counts of correct, decided and true cells, from which precision, recall and F1 follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finelens.task import BoolArray, FloatArray

NumberArray = NDArray[np.bool_] | NDArray[np.integer] | NDArray[np.floating]


@dataclass(frozen=True)
class Counts:
    """Cells counted over any axis: per cell, per picture, per class, or in one number.

    Attributes:
        correct: Decided and true.
        decided: Said to be present.
        true: Present.
    """

    correct: NumberArray
    decided: NumberArray
    true: NumberArray

    def sum(self, axis: int | None = None) -> Counts:
        """Return the counts added up over an axis, or over all cells."""
        return Counts(
            *(np.sum(part, axis=axis) for part in (self.correct, self.decided, self.true))
        )

    @property
    def precision(self) -> FloatArray:
        """Return correct / decided, 0 where nothing was decided."""
        return _ratio(self.correct, self.decided)

    @property
    def recall(self) -> FloatArray:
        """Return correct / true, 0 where nothing is true."""
        return _ratio(self.correct, self.true)

    @property
    def f1(self) -> FloatArray:
        """Return 2 correct / (decided + true), 0 where both are nothing."""
        return _ratio(
            2 * np.asarray(self.correct, float), np.add(self.decided, self.true, dtype=float)
        )


def count_cells(decisions_NK: BoolArray, targets_NK: FloatArray) -> Counts:
    """Return the counts of every single cell, shape (N, K); NaN targets count as nothing."""
    true_NK = targets_NK == 1
    return Counts(
        correct=decisions_NK & true_NK,
        decided=decisions_NK & ~np.isnan(targets_NK),
        true=true_NK,
    )


def _ratio(numerator: NumberArray, denominator: NumberArray) -> FloatArray:
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
