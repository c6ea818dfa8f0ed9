"""Losses: functions of logits and targets that return one mean.

Every loss takes logits and targets of shape (B, K) with values 1, 0 or NaN ("neither"), and
leaves NaN out of both its sum and its count: a batch with nothing known gives 0, and a
gradient of 0. All compute in float32 and are linear in the targets, so soft ones work too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from finelens.config.training import LossConfig
from finelens.errors import ConfigError, did_you_mean
from finelens.task import TaskKind

LARGEST_POSITIVE_WEIGHT = 50.0
"""Balanced weights stop here: a heavier positive would rule every batch it is in."""

_SMALLEST_PROBABILITY = 1e-8
"""Keeps the gradient of ``p ** gamma`` finite at p = 0 for a gamma below 1."""


class Loss(Protocol):
    """A loss with its settings bound."""

    def __call__(self, logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the mean loss of a batch, a float32 scalar of at least 0."""
        ...


def bce(
    logits_BK: Tensor,
    targets_BK: Tensor,
    *,
    class_weights_K: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean binary cross-entropy of the known cells.

    Class weights multiply the positives' part, and smoothing moves each target towards 1/2 by
    that share. Agrees with ``torch.nn.functional.binary_cross_entropy_with_logits`` and its
    ``pos_weight``.
    """
    logits_BK = logits_BK.float()
    return _mean_of_cells(
        -F.logsigmoid(logits_BK),
        -F.logsigmoid(-logits_BK),
        targets_BK,
        class_weights_K=class_weights_K,
        label_smoothing=label_smoothing,
    )


def sigmoid_focal(
    logits_BK: Tensor,
    targets_BK: Tensor,
    *,
    gamma: float = 2.0,
    class_weights_K: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean focal loss of the known cells, each class a yes or no of its own.

    ``-(1 - p_t)^gamma log p_t`` (Lin et al. 2017, eq. 4); gamma 0 is :func:`bce`. Agrees with
    ``torchvision.ops.sigmoid_focal_loss`` without its alpha.
    """
    log_yes_BK, log_no_BK = F.logsigmoid(logits_BK.float()), F.logsigmoid(-logits_BK.float())
    return _mean_of_cells(
        -(gamma * log_no_BK).exp() * log_yes_BK,
        -(gamma * log_yes_BK).exp() * log_no_BK,
        targets_BK,
        class_weights_K=class_weights_K,
        label_smoothing=label_smoothing,
    )


def asymmetric(
    logits_BK: Tensor,
    targets_BK: Tensor,
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    clip: float = 0.05,
    class_weights_K: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean asymmetric loss of the known cells.

    Positives are focused by one exponent; negatives by another, after their probability is
    lowered by ``clip``, so that very easy ones count for nothing (Ridnik et al. 2021, eq. 7).
    The authors' code gives the sum over cells.
    """
    logits_BK = logits_BK.float()
    log_yes_BK, log_no_BK = F.logsigmoid(logits_BK), F.logsigmoid(-logits_BK)
    shifted_BK = (logits_BK.sigmoid() - clip).clamp(min=_SMALLEST_PROBABILITY)
    # unshifted, log(1 - p) must not meet p = 1
    log_shifted_no_BK = torch.log1p(-shifted_BK) if clip > 0 else log_no_BK
    return _mean_of_cells(
        -(gamma_positive * log_no_BK).exp() * log_yes_BK,
        -(shifted_BK**gamma_negative) * log_shifted_no_BK,
        targets_BK,
        class_weights_K=class_weights_K,
        label_smoothing=label_smoothing,
    )


def cross_entropy(
    logits_BK: Tensor,
    targets_BK: Tensor,
    *,
    class_weights_K: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean cross-entropy of the known rows; a row with any NaN is not known.

    With class weights the mean is weighted by those of the rows' classes; smoothing spreads
    that share of each target over all classes. Agrees with
    ``torch.nn.functional.cross_entropy`` of class indices.
    """
    return _mean_of_rows(
        -F.log_softmax(logits_BK.float(), dim=-1),
        targets_BK,
        class_weights_K=class_weights_K,
        label_smoothing=label_smoothing,
    )


def softmax_focal(
    logits_BK: Tensor,
    targets_BK: Tensor,
    *,
    gamma: float = 2.0,
    class_weights_K: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean focal loss of the known rows, one class true of each.

    ``-(1 - p_y)^gamma log p_y`` with softmax probabilities (Lin et al. 2017, eq. 4); gamma 0
    is :func:`cross_entropy`.
    """
    log_p_BK = F.log_softmax(logits_BK.float(), dim=-1)
    # -expm1 keeps 1 - p accurate, the floor its gradient finite where p is 1
    rest_BK = (-torch.expm1(log_p_BK)).clamp(min=_SMALLEST_PROBABILITY)
    return _mean_of_rows(
        -(rest_BK**gamma) * log_p_BK,
        targets_BK,
        class_weights_K=class_weights_K,
        label_smoothing=label_smoothing,
    )


def _mean_of_cells(
    loss_of_yes_BK: Tensor,
    loss_of_no_BK: Tensor,
    targets_BK: Tensor,
    *,
    class_weights_K: Tensor | None,
    label_smoothing: float,
) -> Tensor:
    known_BK = ~targets_BK.isnan()
    targets_BK = targets_BK.float().nan_to_num(0.0)
    targets_BK = targets_BK * (1.0 - label_smoothing) + label_smoothing / 2
    if class_weights_K is not None:
        loss_of_yes_BK = loss_of_yes_BK * class_weights_K.to(loss_of_yes_BK)
    loss_BK = targets_BK * loss_of_yes_BK + (1.0 - targets_BK) * loss_of_no_BK
    return (loss_BK * known_BK).sum() / known_BK.sum().clamp(min=1)


def _mean_of_rows(
    loss_BK: Tensor,
    targets_BK: Tensor,
    *,
    class_weights_K: Tensor | None,
    label_smoothing: float,
) -> Tensor:
    known_B = ~targets_BK.isnan().any(dim=-1)
    targets_BK = torch.where(known_B[:, None], targets_BK, 0.0).float()
    smooth_BK = targets_BK * (1.0 - label_smoothing) + label_smoothing / loss_BK.shape[-1]
    if class_weights_K is not None:
        class_weights_K = class_weights_K.to(loss_BK)
        loss_BK, targets_BK = loss_BK * class_weights_K, targets_BK * class_weights_K
    total = ((smooth_BK * loss_BK).sum(dim=-1) * known_B).sum()
    weight = targets_BK.sum()
    return total / torch.where(weight > 0, weight, 1.0)


def balanced_weights(kind: TaskKind, targets_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return one weight a class from the known training targets, shape (K,), above 0.

    Multi-label: negatives over positives, at most ``LARGEST_POSITIVE_WEIGHT``. Multi-class:
    N / (K * count), as scikit-learn's ``compute_class_weight("balanced")``. A class without
    positives is taken to have one.
    """
    positives_K = np.maximum(np.nansum(targets_NK, axis=0, dtype=np.float64), 1.0)
    if kind is TaskKind.MULTI_CLASS:
        num_known = np.count_nonzero(~np.isnan(targets_NK).any(axis=1))
        return max(num_known, 1) / (targets_NK.shape[1] * positives_K)
    negatives_K = np.maximum(np.count_nonzero(targets_NK == 0, axis=0), 1)
    return np.minimum(negatives_K / positives_K, LARGEST_POSITIVE_WEIGHT)


def build_loss(
    loss: LossConfig,
    kind: TaskKind,
    targets_NK: NDArray[np.floating],
    *,
    device: torch.device | None = None,
) -> Loss:
    """Return the recipe's loss for a task, its class weights counted in the training targets.

    Args:
        loss: Which, and its settings.
        kind: What it must fit.
        targets_NK: Of the training examples.
        device: Where it is mostly computed; None: on the CPU.

    Raises:
        ConfigError: If the loss is not one for this kind of task, or the class weights are
            not one a class.
    """
    choices = LOSSES[kind]
    name = next(iter(choices)) if loss.name == "auto" else loss.name
    if name not in choices:
        raise ConfigError(
            f'loss.name: "{name}" is not for {kind} data{did_you_mean(name, choices)}'
        )
    settings: dict[str, float] = {}
    if name == "focal":
        settings = {"gamma": loss.focal_gamma}
    elif name == "asymmetric":
        settings = {
            "gamma_positive": loss.asymmetric_gamma_positive,
            "gamma_negative": loss.asymmetric_gamma_negative,
            "clip": loss.asymmetric_clip,
        }
    class_weights_K = _class_weights(loss, kind, targets_NK)
    return partial(
        choices[name],
        class_weights_K=None if class_weights_K is None else class_weights_K.to(device),
        label_smoothing=loss.label_smoothing,
        **settings,
    )


def _class_weights(
    loss: LossConfig, kind: TaskKind, targets_NK: NDArray[np.floating]
) -> Tensor | None:
    if loss.class_weights == "none":
        return None
    if loss.class_weights == "balanced":
        return torch.from_numpy(balanced_weights(kind, targets_NK)).float()
    num_weights, num_classes = len(loss.class_weights), targets_NK.shape[1]
    if num_weights != num_classes:
        raise ConfigError(
            f"loss.class_weights: {num_weights} weights for {num_classes} classes; "
            "give one a class, in class order, or balanced"
        )
    return torch.tensor(loss.class_weights, dtype=torch.float32)


LOSSES: dict[TaskKind, dict[str, Callable[..., Tensor]]] = {
    TaskKind.MULTI_LABEL: {"bce": bce, "focal": sigmoid_focal, "asymmetric": asymmetric},
    TaskKind.MULTI_CLASS: {"cross_entropy": cross_entropy, "focal": softmax_focal},
}
"""The losses of each kind of task; the first is ``auto``."""
