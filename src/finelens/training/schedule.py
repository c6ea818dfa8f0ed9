"""Schedules: the learning rate as a factor of its start, a pure function of progress.

Progress is counted in epochs of the phase and may be fractional, from 0 to its number of
epochs. Nothing is remembered between calls, so there is nothing to save for a resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from finelens.config.training import ScheduleConfig

Schedule = Callable[[float], float]
"""Progress in epochs -> factor of the learning rate, at least 0."""


def constant(_progress: float) -> float:
    """Return 1 at any progress."""
    return 1.0


def step(progress: float, *, step_epochs: int, gamma: float) -> float:
    """Return gamma to the number of whole steps behind us.

    Agrees with ``torch.optim.lr_scheduler.StepLR`` stepped once an epoch.
    """
    return gamma ** (math.floor(progress) // step_epochs)


def multistep(progress: float, *, milestones: Sequence[int], gamma: float) -> float:
    """Return gamma to the number of milestones (epochs) behind us.

    Agrees with ``torch.optim.lr_scheduler.MultiStepLR`` stepped once an epoch.
    """
    return gamma ** sum(progress >= milestone for milestone in milestones)


def cosine(progress: float, *, period_epochs: float, final_factor: float = 0.0) -> float:
    """Return half a cosine from 1 down to the final factor after one period; then it rises.

    Agrees with ``torch.optim.lr_scheduler.CosineAnnealingLR`` (Loshchilov & Hutter 2017,
    eq. 5), whose T_max is the period and whose eta_min the final factor times the rate.
    """
    share = (1.0 + math.cos(math.pi * progress / period_epochs)) / 2
    return final_factor + (1.0 - final_factor) * share


def polynomial(
    progress: float, *, num_epochs: float, power: float = 1.0, final_factor: float = 0.0
) -> float:
    """Return a power of the share still to go, from 1 down to the final factor, then flat.

    Agrees with ``torch.optim.lr_scheduler.PolynomialLR`` at a final factor of 0.
    """
    share = (1.0 - min(progress, num_epochs) / num_epochs) ** power
    return final_factor + (1.0 - final_factor) * share


def build_schedule(schedule: ScheduleConfig, num_epochs: float) -> Schedule:
    """Return the recipe's schedule over a phase of so many epochs.

    Warm-up rises linearly from 0 to 1, and the rest follows: cosine and polynomial begin
    where it ends and reach their final factor at the end of the phase (cosine: after
    ``period_epochs``), while steps and milestones count epochs from the start of the phase.
    """
    warmup = schedule.warmup_epochs
    remaining = num_epochs - warmup
    settings: dict[str, dict[str, Any]] = {
        "constant": {},
        "step": {"step_epochs": schedule.step_epochs, "gamma": schedule.gamma},
        "multistep": {"milestones": schedule.milestones, "gamma": schedule.gamma},
        "cosine": {
            "period_epochs": schedule.period_epochs or remaining,
            "final_factor": schedule.final_factor,
        },
        "polynomial": {
            "num_epochs": remaining,
            "power": schedule.power,
            "final_factor": schedule.final_factor,
        },
    }
    rest = partial(SCHEDULES[schedule.name], **settings[schedule.name])
    start = warmup if schedule.name in {"cosine", "polynomial"} else 0.0

    def factor(progress: float) -> float:
        return progress / warmup if progress < warmup else rest(progress - start)

    return factor


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "step": step,
    "multistep": multistep,
    "cosine": cosine,
    "polynomial": polynomial,
}
