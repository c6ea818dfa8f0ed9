"""Accuracy: how often a picture is wholly right, and which classes are taken for which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finelens.errors import DataError
from finelens.evaluation.targets import labelled_rows, require_aligned
from finelens.task import BoolArray, FloatArray


def accuracy(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the share of pictures all of whose known classes are decided rightly, in [0, 1].

    In multi-class this is the usual accuracy; in multi-label the subset (exact match)
    accuracy, as scikit-learn's ``accuracy_score`` is. Pictures without labels are left out;
    NaN where there are no others.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(decisions_NK, targets_NK)
    rows_N = labelled_rows(targets_NK)
    return float(right_rows(decisions_NK, targets_NK)[rows_N].mean()) if rows_N.any() else np.nan


def right_rows(decisions_NK: BoolArray, targets_NK: FloatArray) -> BoolArray:
    """Return which pictures have every known class decided rightly, shape (N,)."""
    return ((decisions_NK == targets_NK) | np.isnan(targets_NK)).all(axis=1)


def top_k_accuracy(scores_NK: FloatArray, targets_NK: FloatArray, k: int = 5) -> float:
    """Return the share of multi-class pictures whose true class is among the k highest.

    In [0, 1], NaN where no picture has labels. Of equal scores the earlier class stands
    higher, so that k = 1 gives the accuracy of argmax; without ties it agrees with
    scikit-learn's ``top_k_accuracy_score``. A labelled picture without a true class is wrong.

    Raises:
        DataError: If the two shapes differ, N is 0 or k is below 1.
    """
    require_aligned(scores_NK, targets_NK)
    if k < 1:
        raise DataError(f"top-k accuracy: k is {k}; it must be at least 1")
    rows_N = labelled_rows(targets_NK)
    if not rows_N.any():
        return float("nan")
    scores_MK, true_MK = scores_NK[rows_N], targets_NK[rows_N] == 1
    true_M1 = true_MK.argmax(axis=1)[:, None]
    score_M1 = np.take_along_axis(scores_MK, true_M1, axis=1)
    earlier_MK = np.arange(scores_MK.shape[1]) < true_M1
    above_M = ((scores_MK > score_M1) | ((scores_MK == score_M1) & earlier_MK)).sum(axis=1)
    return float(((above_M < k) & true_MK.any(axis=1)).mean())


def confusion_matrix(decisions_NK: BoolArray, targets_NK: FloatArray) -> NDArray[np.int64]:
    """Return counts of multi-class pictures, shape (K, K): row true class, column recognised.

    Pictures without a true or a recognised class are left out. Agrees with scikit-learn's
    ``confusion_matrix`` over all K labels.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(decisions_NK, targets_NK)
    true_NK = targets_NK == 1
    rows_N = true_NK.any(axis=1) & decisions_NK.any(axis=1)
    num_classes = targets_NK.shape[1]
    cell_M = true_NK[rows_N].argmax(axis=1) * num_classes + decisions_NK[rows_N].argmax(axis=1)
    return np.bincount(cell_M, minlength=num_classes**2).reshape(num_classes, num_classes)
