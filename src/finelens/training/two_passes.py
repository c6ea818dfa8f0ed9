"""The two passes of a training batch: forward to the loss, backward to the gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finelens.data.preprocessing import Preprocessing
from finelens.models.backbone import one_line
from finelens.models.memory_format import in_format
from finelens.task import Task
from finelens.training.agreement import batch_agreement
from finelens.training.losses import Loss


@dataclass(frozen=True)
class UpdateRule:
    """How a batch becomes a weight update.

    Attributes:
        loss: From logits (B, K) and targets (B, K) to a scalar.
        auxiliary_weight: What the loss of each auxiliary net counts beside the head's.
        preprocessing: Normalises the pictures; None: batches hold features, for the tail.
        task: Says what agreement is measured.
        threshold: The probability from which yes is said.
        accumulate: Batches a weight update.
        clip_norm: Largest gradient norm, if any.
        channels_last: The memory format of the pictures.
        seed: Keys the randomness of every batch; None where the epoch was seeded instead.
    """

    loss: Loss
    auxiliary_weight: float
    preprocessing: Preprocessing | None
    task: Task
    threshold: float
    accumulate: int
    clip_norm: float | None
    channels_last: bool
    seed: int | None


class TwoPasses(Protocol):
    """What a batch goes through."""

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        ...

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that batch's mean loss, times a share, to the parameters."""
        ...


class DirectPasses:
    """The passes as they are, handed over to the device kernel by kernel.

    Args:
        rule: Makes the loss.
        model: The classifier, or another form of it.
        accelerator: Gives autocast and the backward pass.
    """

    def __init__(
        self, rule: UpdateRule, model: Callable[[Tensor], Any], accelerator: Accelerator
    ) -> None:
        self._rule = rule
        self._model = model
        self._accelerator = accelerator
        self._loss: Tensor | None = None

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        rule = self._rule
        x = images_BCHW
        if rule.preprocessing is not None:
            x = in_format(rule.preprocessing.normalise(x), channels_last=rule.channels_last)
        with self._accelerator.autocast():
            outputs = self._model(x)
        logits_BK, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = rule.loss(logits_BK.float(), targets_BK)
        for of_net_BK in auxiliary:
            loss = loss + rule.auxiliary_weight * rule.loss(of_net_BK.float(), targets_BK)
        self._loss = loss
        agreement = batch_agreement(
            logits_BK.detach(), targets_BK, rule.task, threshold=rule.threshold
        )
        return torch.cat([loss.detach()[None] * len(targets_BK), agreement])

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that batch's mean loss, times a share, to the parameters."""
        assert self._loss is not None, "backward before forward"
        loss, self._loss = self._loss, None
        self._accelerator.backward(loss * share)


class CompiledPasses:
    """The passes through torch's compiler, or as they are where it cannot compile the network.

    The first batch takes the time to compile.

    Args:
        rule: Makes the loss.
        model: The classifier.
        accelerator: Gives autocast and the backward pass.
        say: Is told why the network cannot be compiled, if so.
    """

    def __init__(
        self,
        rule: UpdateRule,
        model: nn.Module,
        accelerator: Accelerator,
        *,
        say: Callable[[str], None],
    ) -> None:
        # what earlier phases compiled counts towards the compiler's limit
        torch.compiler.reset()
        self._direct = DirectPasses(rule, model, accelerator)
        self._passes = DirectPasses(rule, torch.compile(model, dynamic=False), accelerator)
        self._is_proven = False
        self._say = say

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        if self._is_proven:
            return self._passes.forward(images_BCHW, targets_BK)
        try:
            return self._passes.forward(images_BCHW, targets_BK)
        except RuntimeError as error:
            self._say(f"training: the network cannot be compiled: {one_line(error)}")
            self._passes, self._is_proven = self._direct, True
            return self._passes.forward(images_BCHW, targets_BK)

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that batch's mean loss, times a share, to the parameters."""
        self._passes.backward(share)
        self._is_proven = True
