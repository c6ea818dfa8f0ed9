"""The loop: one epoch of weight updates, from wherever it was left."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finelens.data.loader import Batch, Loader
from finelens.data.preprocessing import Preprocessing
from finelens.models.memory_format import in_format
from finelens.task import Task
from finelens.training.agreement import batch_agreement
from finelens.training.losses import Loss
from finelens.training.phases import Phase
from finelens.training.profile import BACKWARD, FORWARD, OPTIMISER, WAIT, Profile
from finelens.training.randomness import seed_batch
from finelens.training.state import TrainingState


@dataclass(frozen=True)
class UpdateRule:
    """How a batch becomes a weight update.

    Attributes:
        loss: From logits (B, K) and targets (B, K) to a scalar.
        auxiliary_weight: What the loss of each auxiliary net counts beside the head's.
        preprocessing: Normalises the pictures.
        task: Says what agreement is measured.
        threshold: The probability from which yes is said.
        accumulate: Batches a weight update.
        clip_norm: Largest gradient norm, if any.
        channels_last: The memory format of the pictures.
        seed: Keys the randomness of every batch; None where the epoch was seeded instead.
    """

    loss: Loss
    auxiliary_weight: float
    preprocessing: Preprocessing
    task: Task
    threshold: float
    accumulate: int
    clip_norm: float | None
    channels_last: bool
    seed: int | None


def train_epoch(
    state: TrainingState,
    phase: Phase,
    loader: Loader,
    rule: UpdateRule,
    *,
    model: nn.Module,
    accelerator: Accelerator,
    after_update: Callable[[int], None],
    profile: Profile,
) -> None:
    """Train until the running epoch's last batch, starting at ``state.position.batch``.

    Args:
        state: Is advanced after each weight update.
        phase: Gives the learning rate.
        loader: Gives the epoch's batches.
        rule: How a batch becomes an update.
        model: The classifier as the accelerator wraps it for several processes.
        accelerator: Gives autocast and the backward pass.
        after_update: Called after each update with its number of pictures; may raise.
        profile: Is told what each part took.

    Raises:
        DataError: If a picture cannot be read any more.
    """
    position = state.position
    epoch = phase.first_epoch + position.epoch
    batches = loader.epoch(epoch, skip=position.batch)
    while position.batch < len(loader):
        started = time.perf_counter()
        size = min(rule.accumulate, len(loader) - position.batch)
        _set_rate(state, phase, len(loader), size)
        numbers = range(position.batch, position.batch + size)
        num_pictures = sum(loader.batch_sizes(number)[1] for number in numbers)
        for number in numbers:
            if rule.seed is not None:
                seed_batch(rule.seed, epoch, number, process=accelerator.process_index)
            num_own, _ = loader.batch_sizes(number)
            # processes average their gradients, so each batch counts for the pictures it has
            share = num_own / num_pictures * accelerator.num_processes
            with profile.part(WAIT):
                batch = next(batches)
            profile.add_batch(batch)
            with _sync(accelerator, model, is_last=number == numbers[-1]):
                sums = _backward(batch, rule, model, accelerator, share=share, profile=profile)
            _add(state, sums * (num_own > 0), accelerator)
        with profile.part(OPTIMISER):
            _update(state, rule, model, accelerator)
        _advance(state, size, num_pictures, time.perf_counter() - started)
        after_update(num_pictures)
    # lets the loader's workers finish the epoch
    next(batches, None)


def learning_rate(state: TrainingState) -> float:
    """Return the highest current learning rate: the head's, where it has its own."""
    assert state.optimizer is not None
    return max(group["lr"] for group in state.optimizer.param_groups)


def _advance(state: TrainingState, num_batches: int, num_pictures: int, seconds: float) -> None:
    state.position.batch += num_batches
    state.position.update += 1
    state.pictures += num_pictures
    state.update_seconds += seconds
    state.sums.pictures += num_pictures
    state.sums.seconds += seconds


def _set_rate(state: TrainingState, phase: Phase, num_batches: int, size: int) -> None:
    assert state.optimizer is not None
    # the middle of the update: a warm-up's first update is not lost to a rate of 0
    progress = state.position.epoch + (state.position.batch + size / 2) / num_batches
    factor = phase.rate_factor(progress)
    for group in state.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _backward(
    batch: Batch,
    rule: UpdateRule,
    model: nn.Module,
    accelerator: Accelerator,
    *,
    share: float,
    profile: Profile,
) -> Tensor:
    """Add a batch's gradients; return the sums over its pictures of loss and agreement."""
    with profile.part(FORWARD):
        images_BCHW = batch.images_BCHW.to(accelerator.device, non_blocking=True)
        images_BCHW = rule.preprocessing.normalise(images_BCHW)
        images_BCHW = in_format(images_BCHW, channels_last=rule.channels_last)
        targets_BK = batch.targets_BK.to(accelerator.device, non_blocking=True)
        with accelerator.autocast():
            outputs = model(images_BCHW)
        logits_BK, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = rule.loss(logits_BK.float(), targets_BK)
        for of_net_BK in auxiliary:
            loss = loss + rule.auxiliary_weight * rule.loss(of_net_BK.float(), targets_BK)
    with profile.part(BACKWARD):
        accelerator.backward(loss * share)
    agreement = batch_agreement(logits_BK.detach(), targets_BK, rule.task, threshold=rule.threshold)
    return torch.cat([loss.detach()[None] * len(targets_BK), agreement])


def _add(state: TrainingState, sums: Tensor, accelerator: Accelerator) -> None:
    if accelerator.num_processes > 1:
        sums = torch.as_tensor(accelerator.reduce(sums, "sum"))
    loss, *agreement = sums.tolist()
    state.sums.loss += loss
    before = state.sums.agreement or [0.0] * len(agreement)
    state.sums.agreement = [old + new for old, new in zip(before, agreement, strict=True)]


def _update(
    state: TrainingState, rule: UpdateRule, model: nn.Module, accelerator: Accelerator
) -> None:
    assert state.optimizer is not None
    if rule.clip_norm is not None:
        accelerator.clip_grad_norm_(model.parameters(), rule.clip_norm)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average:
        state.average.update(state.classifier)


def _sync(
    accelerator: Accelerator, model: nn.Module, is_last: bool
) -> AbstractContextManager[object]:
    return nullcontext() if is_last else accelerator.no_sync(model)
