"""Calibration: whether a probability of 0.8 is right eight times in ten, and making it so."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from finelens.evaluation.targets import require_aligned
from finelens.task import BoolArray, FloatArray, Task

TEMPERATURE_RANGE = (0.1, 10.0)


def confidences(
    probabilities_NK: FloatArray, targets_NK: FloatArray, task: Task
) -> tuple[FloatArray, BoolArray]:
    """Return M statements of the model as (confidence in [0, 1], whether it came true).

    Multi-class: one a picture, the highest probability and whether that class is true (Guo
    et al. 2017). Multi-label: one a cell, its probability and whether the class is present.
    NaN targets make no statement.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(probabilities_NK, targets_NK)
    if task.is_multi_label:
        known_NK = ~np.isnan(targets_NK)
        return probabilities_NK[known_NK], targets_NK[known_NK] == 1
    top_N1 = probabilities_NK.argmax(axis=1)[:, None]
    confidence_N = np.take_along_axis(probabilities_NK, top_N1, axis=1)[:, 0]
    outcome_N = np.take_along_axis(targets_NK, top_N1, axis=1)[:, 0]
    known_N = ~np.isnan(outcome_N)
    return confidence_N[known_N], outcome_N[known_N] == 1


def reliability_curve(
    confidence_M: FloatArray, outcome_M: BoolArray, bins: int = 15
) -> pl.DataFrame:
    """Return the reliability diagram's bins that hold anything, lowest first.

    Bins are equally wide over [0, 1] and closed above, as in Guo et al. 2017. Columns:
    confidence (mean), frequency (share that came true), count.
    """
    bin_M = np.clip(np.ceil(confidence_M * bins).astype(np.int64) - 1, 0, bins - 1)
    count_B = np.bincount(bin_M, minlength=bins)
    filled_B = count_B > 0
    confidence_B = np.bincount(bin_M, weights=confidence_M, minlength=bins)
    outcome_B = np.bincount(bin_M, weights=outcome_M, minlength=bins)
    return pl.DataFrame(
        {
            "confidence": confidence_B[filled_B] / count_B[filled_B],
            "frequency": outcome_B[filled_B] / count_B[filled_B],
            "count": count_B[filled_B],
        }
    )


def expected_calibration_error(
    confidence_M: FloatArray, outcome_M: BoolArray, bins: int = 15
) -> float:
    """Return the mean distance of confidence and frequency over bins, in [0, 1], NaN if M is 0.

    Bins weigh by what they hold (Guo et al. 2017, equation 3).
    """
    if not len(confidence_M):
        return float("nan")
    curve = reliability_curve(confidence_M, outcome_M, bins)
    gap_B = np.abs(curve["confidence"].to_numpy() - curve["frequency"].to_numpy())
    return float(np.average(gap_B, weights=curve["count"].to_numpy()))


def choose_temperature(logits_NK: FloatArray, targets_NK: FloatArray, task: Task) -> float:
    """Return the temperature of the least negative log-likelihood, within [0.1, 10].

    Temperature scaling, Guo et al. 2017, section 4.2: over the true classes' softmax in
    multi-class, over all known cells' sigmoids (binary likelihood) in multi-label. Returns 1
    where the pictures say nothing of confidence: none has labels, or every statement is right,
    so that the likelihood only grows as the temperature falls to 0.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(logits_NK, targets_NK)
    margins_MJ = _margins(np.asarray(logits_NK, dtype=np.float64), targets_NK, task)
    if not margins_MJ.size or (margins_MJ < 0).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled_MJ = margins_MJ / np.exp(log_temperature)
        # log(1 + sum over rivals of exp(their lead over the truth))
        return float(np.logaddexp(0.0, logsumexp(scaled_MJ, axis=1)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURE_RANGE)), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _margins(logits_NK: FloatArray, targets_NK: FloatArray, task: Task) -> FloatArray:
    """Return by how much each rival of the truth leads it, shape (M statements, J rivals)."""
    if task.is_multi_label:
        known_NK = ~np.isnan(targets_NK)
        sign_M = np.where(targets_NK[known_NK] == 1, -1.0, 1.0)
        return (sign_M * logits_NK[known_NK])[:, None]
    true_NK = targets_NK == 1
    rows_N = true_NK.any(axis=1)
    logits_MK, true_M1 = logits_NK[rows_N], true_NK[rows_N].argmax(axis=1)[:, None]
    leads_MK = logits_MK - np.take_along_axis(logits_MK, true_M1, axis=1)
    rivals_MK = np.arange(logits_NK.shape[1]) != true_M1
    return leads_MK[rivals_MK].reshape(len(leads_MK), logits_NK.shape[1] - 1)
