"""Target rows: 1, 0, or NaN for a class that is left out of a picture's judgement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from finelens.errors import DataError
from finelens.task import BoolArray, FloatArray


def require_aligned(values_NK: FloatArray | BoolArray, targets_NK: FloatArray) -> None:
    """Raise where scores or decisions do not lie on the targets cell by cell.

    Raises:
        DataError: If the shapes differ, are not (N, K), or N is 0.
    """
    if values_NK.shape != targets_NK.shape or targets_NK.ndim != 2:
        raise DataError(
            f"scores of shape {values_NK.shape} do not fit targets of shape {targets_NK.shape}; "
            "both must be (pictures, classes)"
        )
    if not len(targets_NK):
        raise DataError("there are no pictures to measure; give at least one")


def labelled_rows(targets_NK: FloatArray) -> BoolArray:
    """Return which pictures have labels, shape (N,): those with any class that is not NaN."""
    return np.logical_not(np.isnan(targets_NK).all(axis=1))


def known_columns(
    scores_NK: FloatArray, targets_NK: FloatArray
) -> Iterator[tuple[FloatArray, BoolArray]]:
    """Yield, class by class, the scores of its M known cells and whether each is positive."""
    known_NK = ~np.isnan(targets_NK)
    positive_NK = targets_NK == 1
    for k in range(targets_NK.shape[1]):
        rows_N = known_NK[:, k]
        yield scores_NK[rows_N, k], positive_NK[rows_N, k]


def mean_of_known(values_K: FloatArray) -> float:
    """Return the mean over classes that have a value, NaN where none has."""
    known_K = ~np.isnan(values_K)
    return float(values_K[known_K].mean()) if known_K.any() else float("nan")
