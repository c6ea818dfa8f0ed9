"""The loop: one epoch of weight updates, from wherever it was left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from finelens.data.loader import Loader
from finelens.training.phases import Phase
from finelens.training.profile import OPTIMISER
from finelens.training.randomness import seed_batch
from finelens.training.state import TrainingState
from finelens.training.step import Step

_NOTED_S = 0.5
"""How often the loss is looked at: a GPU is waited for each time."""


def train_epoch(
    state: TrainingState,
    phase: Phase,
    loader: Loader,
    step: Step,
    *,
    after_update: Callable[[int], None],
) -> None:
    """Train until the running epoch's last batch, starting at ``state.position.batch``.

    Args:
        state: Is advanced after each weight update.
        phase: Gives the learning rate.
        loader: Gives the epoch's batches.
        step: What each of them goes through.
        after_update: Called after each update with its number of pictures; may raise.

    Raises:
        DataError: If a picture cannot be read any more.
    """
    with step.running():
        _run_updates(state, phase, loader, step, after_update)
        waited = time.perf_counter()
    # a GPU is now done with the last updates
    _spend(state, time.perf_counter() - waited)


def _run_updates(
    state: TrainingState,
    phase: Phase,
    loader: Loader,
    step: Step,
    after_update: Callable[[int], None],
) -> None:
    position, rule, accelerator = state.position, step.rule, step.accelerator
    epoch = phase.first_epoch + position.epoch
    batches = step.profile.waited_for(loader.epoch(epoch, skip=position.batch))
    noted = -math.inf
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
            batch = next(batches)
            with _sync(step, is_last=number == numbers[-1]):
                sums = step(batch, share=share) * (num_own > 0)
            state.sums.add(_over_processes(sums, step))
        with step.profile.part(OPTIMISER):
            _update(state, step)
        _advance(state, size, num_pictures)
        if started - noted > _NOTED_S:
            noted = started
            state.sums.note()
        _spend(state, time.perf_counter() - started)
        after_update(num_pictures)
    # lets the loader's workers finish the epoch
    next(batches, None)


def learning_rate(state: TrainingState) -> float:
    """Return the highest current learning rate: the head's, where it has its own."""
    assert state.optimizer is not None
    return max(group["lr"] for group in state.optimizer.param_groups)


def _advance(state: TrainingState, num_batches: int, num_pictures: int) -> None:
    state.position.batch += num_batches
    state.position.update += 1
    state.pictures += num_pictures
    state.sums.pictures += num_pictures


def _spend(state: TrainingState, seconds: float) -> None:
    state.update_seconds += seconds
    state.sums.seconds += seconds


def _set_rate(state: TrainingState, phase: Phase, num_batches: int, size: int) -> None:
    assert state.optimizer is not None
    # the middle of the update: a warm-up's first update is not lost to a rate of 0
    progress = state.position.epoch + (state.position.batch + size / 2) / num_batches
    factor = phase.rate_factor(progress)
    for group in state.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _over_processes(sums: Tensor, step: Step) -> Tensor:
    if step.accelerator.num_processes == 1:
        return sums
    return torch.as_tensor(step.accelerator.reduce(sums, "sum"))


def _update(state: TrainingState, step: Step) -> None:
    assert state.optimizer is not None
    if step.rule.clip_norm is not None:
        step.accelerator.clip_grad_norm_(step.model.parameters(), step.rule.clip_norm)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average:
        state.average.update()


def _sync(step: Step, is_last: bool) -> AbstractContextManager[object]:
    return nullcontext() if is_last else step.accelerator.no_sync(step.model)
