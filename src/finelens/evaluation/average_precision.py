"""Average precision: the area under a class's precision-recall curve, by two rules."""

from __future__ import annotations

import numpy as np

from finelens.evaluation.operating_points import OperatingPoints, class_operating_points
from finelens.evaluation.targets import known_columns, mean_of_known, require_aligned
from finelens.task import BoolArray, FloatArray


def average_precision(scores_NK: FloatArray, targets_NK: FloatArray) -> FloatArray:
    """Return each class's average precision over all points, shape (K,), in [0, 1].

    The sum of precision times the rise of recall over the distinct scores, without
    interpolation; cells with a NaN target are left out; NaN for a class without positives.
    Agrees with scikit-learn's ``average_precision_score``.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    points = class_operating_points(scores_NK, targets_NK)
    return np.array([average_precision_of(point) for point in points], dtype=float)


def average_precision_of(points: OperatingPoints) -> float:
    """Return the all-point average precision of one class, NaN without positives."""
    if not points.num_positive:
        return float("nan")
    rise_G = np.diff(points.counts.recall, prepend=0.0)
    return float(np.sum(rise_G * points.counts.precision))


def average_precision_11pt(scores_NK: FloatArray, targets_NK: FloatArray) -> FloatArray:
    """Return each class's 11-point interpolated average precision, shape (K,), in [0, 1].

    The VOC 2007 rule (Everingham et al. 2010, section 4.2; ``VOCevalcls.m``): the mean over
    the recall levels 0, 0.1, ..., 1 of the highest precision at that recall or beyond. As in
    the devkit equal scores keep the order of the pictures, and "difficult" (NaN) cells are
    left out. Levels are compared exactly, where the devkit's 3 * 0.1 is a hair above 0.3.
    NaN for a class without positives.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(scores_NK, targets_NK)
    columns = known_columns(scores_NK, targets_NK)
    return np.array([_eleven_points(scores, positive) for scores, positive in columns], dtype=float)


def mean_average_precision(scores_NK: FloatArray, targets_NK: FloatArray) -> float:
    """Return the mean of ``average_precision`` over the classes that have positives.

    NaN where no class has any.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    return mean_of_known(average_precision(scores_NK, targets_NK))


def _eleven_points(scores_M: FloatArray, positive_M: BoolArray) -> float:
    num_positive = int(positive_M.sum())
    if not num_positive:
        return float("nan")
    correct_M = np.cumsum(positive_M[np.argsort(-scores_M, kind="stable")])
    precision_M = correct_M / np.arange(1, len(scores_M) + 1)
    best_beyond_M = np.maximum.accumulate(precision_M[::-1])[::-1]
    # recall >= level / 10 in whole numbers: correct >= ceil(level * positives / 10)
    needed_L = -(-np.arange(11) * num_positive // 10)
    return float(best_beyond_M[np.searchsorted(correct_M, needed_L)].mean())
