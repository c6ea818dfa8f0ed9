"""Stopping: when training has reached enough, or reaches nothing more."""

from __future__ import annotations

import math

from finelens.training.best import is_better
from finelens.training.state import TrainingState


def consider_stopping(
    state: TrainingState, name: str, value: float, *, target: float | None, patience: int | None
) -> None:
    """Note an epoch's value of a metric; set ``state.stopped`` where training should end.

    Args:
        state: Counts the epochs without a better value.
        name: The metric; a loss is better when smaller.
        value: What it was on val.
        target: A value that is enough.
        patience: Epochs without a better value that are too many.
    """
    if target is not None and (math.isclose(value, target) or is_better(name, value, target)):
        state.stopped = f"{name} reached {target:g}"
    if is_better(name, value, state.stop_best):
        state.stop_best, state.epochs_without_better = value, 0
    else:
        state.epochs_without_better += 1
    if patience is not None and state.epochs_without_better >= patience:
        state.stopped = f"{name} not better for {patience} epochs"
