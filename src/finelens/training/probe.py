"""The probe: the best regularised linear head on frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.one_thread import one_thread
from finelens.errors import DataError
from finelens.task import Task
from finelens.training.losses import bce, cross_entropy

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4)
"""The default path, from strong to weak regularisation."""

_MOST_ITERATIONS = 100
_PATIENCE = 2
_SMALL_PROBLEM = 10_000_000

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """A linear head for raw features: ``features @ weight_KF.T + bias_K`` are the logits.

    Attributes:
        weight_KF: Shape (K, F), float32.
        bias_K: Shape (K,), float32.
        strength: The regularisation that was chosen.
        val_losses: Each strength that was tried -> mean loss on validation; empty where no
            validation target is known.
    """

    weight_KF: FloatArray
    bias_K: FloatArray
    strength: float
    val_losses: dict[float, float]


def fit_probe(
    features_NF: FloatArray | Tensor,
    targets_NK: FloatArray,
    val_features_MF: FloatArray | Tensor | None = None,
    val_targets_MK: FloatArray | None = None,
    *,
    task: Task,
    strengths: Sequence[float] = STRENGTHS,
) -> Probe:
    """Return the L2-regularised logistic regression of standardised features.

    Each class has its own logistic regression in multi-label tasks, fitted to the rows where
    it is known; multi-class tasks have one multinomial regression of the rows that are known.
    Minimised is the sum over rows of the loss, divided by N, plus strength / 2 times the
    weights' squared norm: scikit-learn's ``LogisticRegression`` with ``C = 1 / (strength * N)``
    on features of mean 0 and variance 1. N counts the rows with anything known.

    The strengths are tried from strong to weak, each from the solution before it, until two
    in a row have brought nothing; the one of the smallest validation loss is kept. Without
    known validation targets the middle one is used. No random number is drawn.

    Args:
        features_NF: Finite features, shape (N, F).
        targets_NK: Values 1, 0 or NaN, shape (N, K).
        val_features_MF: Features of the validation pictures, shape (M, F).
        val_targets_MK: Their targets, shape (M, K).
        task: Its kind decides between the two regressions.
        strengths: Above 0, in any order.

    Raises:
        DataError: If no target is known or a feature is not finite.
    """
    is_multi_label = task.is_multi_label
    train = _known_rows(features_NF, targets_NK, is_multi_label=is_multi_label)
    if not len(train[0]):
        raise DataError("no training picture has a known label, so no probe can be fitted")
    ordered = sorted(strengths, reverse=True)
    # steps of milliseconds gain little from a second thread, and lose most of their time to
    # waiting for it where the processor is shared
    with one_thread() if train[0].numel() <= _SMALL_PROBLEM else nullcontext():
        problem = _Problem(*train, is_multi_label=is_multi_label)
        if val_features_MF is not None and val_targets_MK is not None:
            val = _known_rows(val_features_MF, val_targets_MK, is_multi_label=is_multi_label)
            if len(val[0]):
                return _best_of_path(problem, ordered, *val)
        middle = ordered[len(ordered) // 2]
        weight_KF, bias_K = problem.solve(middle)
    return Probe(weight_KF.numpy(), bias_K.numpy(), middle, {})


def _best_of_path(
    problem: _Problem, strengths: Sequence[float], features_MF: Tensor, targets_MK: Tensor
) -> Probe:
    # the loss, not accuracy or average precision: those are steps of single pictures on a
    # small split, and a head that is sure of its mistakes is a poor start for fine-tuning
    val_losses: dict[float, float] = {}
    heads: dict[float, tuple[Tensor, Tensor]] = {}
    best = strengths[0]
    for number, strength in enumerate(strengths):
        weight_KF, bias_K = heads[strength] = problem.solve(strength)
        logits_MK = torch.addmm(bias_K, features_MF, weight_KF.T)
        val_losses[strength] = problem.loss(logits_MK, targets_MK).item()
        if val_losses[strength] < val_losses[best]:
            best = strength
        if number - strengths.index(best) == _PATIENCE:
            break
    weight_KF, bias_K = heads[best]
    return Probe(weight_KF.numpy(), bias_K.numpy(), best, val_losses)


class _Problem:
    """The convex problem in coordinates where its curvature is near one everywhere.

    Features are standardised and turned to their principal axes, and each axis is scaled by
    the curvature a constant classifier would see there: ``p (1 - p) * variance + strength``.
    L-BFGS then needs a few dozen steps, where plain features take hundreds.
    """

    def __init__(self, features_NF: Tensor, targets_NK: Tensor, *, is_multi_label: bool) -> None:
        std_F, mean_F = torch.std_mean(features_NF.double(), dim=0, correction=0)
        # as scikit-learn's StandardScaler: a constant feature is only centred
        std_F = torch.where(std_F > 1e-6 * (1.0 + mean_F.abs()), std_F, 1.0)
        self._mean_F, self._std_F = mean_F, std_F
        standard_NF = (features_NF - mean_F.float()) / std_F.float()
        self._axes_FR, self._variance_R = _principal_axes(standard_NF)
        self._projected_NR = standard_NF @ self._axes_FR
        self._targets_NK = targets_NK
        self.loss = bce if is_multi_label else cross_entropy
        num_known_K = (~targets_NK.isnan()).sum(dim=0)
        # a mean over known cells, made a sum over rows divided by N
        self._loss_scale = float(num_known_K.sum()) / len(targets_NK) if is_multi_label else 1.0
        # half a picture more of each kind keeps the rate inside (0, 1)
        rate_K = (targets_NK.nansum(dim=0) + 0.5) / (num_known_K + 1.0)
        self._curvature_K = rate_K * (1.0 - rate_K)
        self._weight_KR = torch.zeros(len(rate_K), len(self._variance_R))
        self._bias_K = rate_K.logit() if is_multi_label else rate_K.log()

    def solve(self, strength: float) -> tuple[Tensor, Tensor]:
        """Return weight_KF and bias_K for raw features, starting at the last solution."""
        scale_KR = (self._curvature_K[:, None] * self._variance_R + strength).rsqrt()
        bias_scale_K = self._curvature_K.rsqrt()

        def unscaled(parameters_KP: Tensor) -> tuple[Tensor, Tensor]:
            return parameters_KP[:, 1:] * scale_KR, parameters_KP[:, 0] * bias_scale_K

        def objective(parameters_KP: Tensor) -> Tensor:
            weight_KR, bias_K = unscaled(parameters_KP)
            logits_NK = torch.addmm(bias_K, self._projected_NR, weight_KR.T)
            loss = self.loss(logits_NK, self._targets_NK) * self._loss_scale
            return loss + strength / 2 * weight_KR.square().sum()

        start_KP = torch.cat(
            [(self._bias_K / bias_scale_K)[:, None], self._weight_KR / scale_KR], dim=1
        )
        self._weight_KR, self._bias_K = unscaled(_minimise(objective, start_KP))
        weight_KF = (self._weight_KR @ self._axes_FR.T).double() / self._std_F
        bias_K = self._bias_K.double() - weight_KF @ self._mean_F
        return weight_KF.float(), bias_K.float()


def _principal_axes(standard_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Return the axes (F, R) along which centred features vary, and their variances (R,)."""
    num_rows, num_features = standard_NF.shape
    is_wide = num_rows < num_features
    gram = standard_NF @ standard_NF.T if is_wide else standard_NF.T @ standard_NF
    variances, axes = torch.linalg.eigh(gram.double() / num_rows)
    # along the rest float32 holds nothing but rounding
    is_kept = variances > 1e-6 * variances[-1].clamp(min=1e-12)
    variance_R, axes = variances[is_kept], axes[:, is_kept]
    if is_wide:
        axes = standard_NF.T.double() @ axes / (variance_R * num_rows).sqrt()
    return axes.float(), variance_R.float()


def _minimise(objective: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    parameters = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=_MOST_ITERATIONS,
        tolerance_grad=1e-4,
        tolerance_change=1e-9,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = objective(parameters)
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    return parameters.detach()


def _known_rows(
    features_NF: FloatArray | Tensor, targets_NK: FloatArray, *, is_multi_label: bool
) -> tuple[Tensor, Tensor]:
    """Return the features and targets of the rows that say something."""
    features_NF = torch.as_tensor(features_NF).detach().float().cpu()
    is_bad_N = ~features_NF.isfinite().all(dim=1)
    if is_bad_N.any():
        raise DataError(
            f"{int(is_bad_N.sum())} of {len(features_NF)} pictures have features that are not "
            "finite; set train.precision to fp32, or look at model.weights"
        )
    is_known_NK = ~np.isnan(targets_NK)
    is_known_N = is_known_NK.any(axis=1) if is_multi_label else is_known_NK.all(axis=1)
    known = torch.from_numpy(np.flatnonzero(is_known_N))
    return features_NF[known], torch.from_numpy(np.asarray(targets_NK, dtype=np.float32))[known]
