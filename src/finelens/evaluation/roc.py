"""ROC-AUC: how often a positive picture scores above a negative one."""

from __future__ import annotations

import numpy as np

from finelens.evaluation.operating_points import (
    OperatingPoints,
    class_operating_points,
    operating_points,
)
from finelens.evaluation.targets import mean_of_known, require_aligned
from finelens.task import FloatArray


def roc_auc(scores_NK: FloatArray, targets_NK: FloatArray) -> FloatArray:
    """Return each class's area under the ROC curve, shape (K,), in [0, 1].

    One class against the rest; equal scores count half. NaN for a class that lacks positives
    or negatives; cells with a NaN target are left out. Agrees with scikit-learn's
    ``roc_auc_score``.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    points = class_operating_points(scores_NK, targets_NK)
    return np.array([roc_auc_of(point) for point in points], dtype=float)


def roc_auc_of(points: OperatingPoints) -> float:
    """Return the ROC-AUC of one class by the trapezoidal rule, NaN if a kind is missing."""
    if not points.num_positive or not points.num_negative:
        return float("nan")
    rate_G = np.append(0.0, points.false_positive_rate)
    recall_G = np.append(0.0, points.counts.recall)
    return float(np.sum(np.diff(rate_G) * (recall_G[1:] + recall_G[:-1]) / 2))


def mean_roc_auc(scores_NK: FloatArray, targets_NK: FloatArray) -> float:
    """Return the mean of ``roc_auc`` over the classes having both kinds, NaN if none has.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    return mean_of_known(roc_auc(scores_NK, targets_NK))


def micro_roc_auc(scores_NK: FloatArray, targets_NK: FloatArray) -> float:
    """Return the ROC-AUC of all known cells pooled, in [0, 1]; NaN if a kind is missing.

    Agrees with scikit-learn's ``roc_auc_score(average="micro")``.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(scores_NK, targets_NK)
    known_NK = ~np.isnan(targets_NK)
    return roc_auc_of(operating_points(scores_NK[known_NK], targets_NK[known_NK] == 1))
