"""Precision, recall and F1 of decisions, averaged over examples, over classes, or over cells.

Targets are 1, 0 or NaN. A NaN cell counts neither as decided nor as true; a picture whose
whole row is NaN is left out of the mean over examples, a class whose whole column is NaN out of
the mean over classes. Every other 0/0 counts as 0, as scikit-learn's ``zero_division=0`` does.
Each function returns a fraction in [0, 1], or NaN where no picture has labels, and raises
DataError if the two shapes differ or N is 0.
"""

from __future__ import annotations

import numpy as np

from finelens.evaluation.counts import Counts, count_cells
from finelens.evaluation.targets import labelled_rows, require_aligned
from finelens.task import BoolArray, FloatArray


def example_precision(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over examples of |X and Y| / |X|, 0 where nothing was decided.

    The A2D course's definition; X are the decided classes of a picture, Y its true ones.
    Agrees with scikit-learn's ``precision_score(average="samples", zero_division=0)``.
    """
    return _mean(_example_counts(decisions_NK, targets_NK).precision)


def example_recall(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over examples of |X and Y| / |Y|, 0 where nothing is true.

    Agrees with scikit-learn's ``recall_score(average="samples", zero_division=0)``.
    """
    return _mean(_example_counts(decisions_NK, targets_NK).recall)


def example_f1(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over examples of each example's F1, 2 |X and Y| / (|X| + |Y|).

    Not the harmonic mean of the two means; 0 where both sets are empty. In multi-class all
    three example averages equal the accuracy.
    Agrees with scikit-learn's ``f1_score(average="samples", zero_division=0)``.
    """
    return _mean(_example_counts(decisions_NK, targets_NK).f1)


def macro_precision(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over classes of each class's precision, 0 where it was never decided.

    Agrees with scikit-learn's ``precision_score(average="macro", zero_division=0)`` over all
    K labels; so do recall and F1 with theirs.
    """
    return _mean(_known_class_counts(decisions_NK, targets_NK).precision)


def macro_recall(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over classes of each class's recall, 0 for a class without positives."""
    return _mean(_known_class_counts(decisions_NK, targets_NK).recall)


def macro_f1(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the mean over classes of each class's F1, 0 where it was neither decided nor true."""
    return _mean(_known_class_counts(decisions_NK, targets_NK).f1)


def micro_precision(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the precision of all cells pooled.

    Agrees with scikit-learn's ``precision_score(average="micro", zero_division=0)``; so do
    recall and F1 with theirs.
    """
    return _pooled(decisions_NK, targets_NK, "precision")


def micro_recall(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the recall of all cells pooled."""
    return _pooled(decisions_NK, targets_NK, "recall")


def micro_f1(decisions_NK: BoolArray, targets_NK: FloatArray) -> float:
    """Return the F1 of all cells pooled."""
    return _pooled(decisions_NK, targets_NK, "f1")


def class_counts(decisions_NK: BoolArray, targets_NK: FloatArray) -> Counts:
    """Return the counts of every class, shape (K,), from which its P, R and F1 follow.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(decisions_NK, targets_NK)
    return count_cells(decisions_NK, targets_NK).sum(axis=0)


def _example_counts(decisions_NK: BoolArray, targets_NK: FloatArray) -> Counts:
    require_aligned(decisions_NK, targets_NK)
    rows_N = labelled_rows(targets_NK)
    return count_cells(decisions_NK[rows_N], targets_NK[rows_N]).sum(axis=1)


def _known_class_counts(decisions_NK: BoolArray, targets_NK: FloatArray) -> Counts:
    require_aligned(decisions_NK, targets_NK)
    known_K = ~np.isnan(targets_NK).all(axis=0)
    return class_counts(decisions_NK[:, known_K], targets_NK[:, known_K])


def _pooled(decisions_NK: BoolArray, targets_NK: FloatArray, name: str) -> float:
    require_aligned(decisions_NK, targets_NK)
    if not labelled_rows(targets_NK).any():
        return float("nan")
    return float(getattr(count_cells(decisions_NK, targets_NK).sum(), name))


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")
