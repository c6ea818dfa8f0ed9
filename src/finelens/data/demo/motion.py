"""The demo's motions: seven ways in which an actor moves, or does not, that no one frame tells.

Where an actor is in a frame is three numbers that run around a circle: how far to the right, how
far down and how far turned, each in [0, 1), and 1 is 0 again. (What leaves the picture at one
side comes in at the other.) A clip of any class draws its start uniformly from these circles, and
a motion adds to it, in frame t, a shift that depends on t and on chance but not on the start.
Whatever the shift, a uniform point of a circle plus a shift that is independent of it is a
uniform point of the circle. So in every frame, the first and the last too, the three numbers are
uniform and independent for every class. Backdrop, actor, pose, size, the way it faces, colours and
noise come from the same draws for all classes. So one frame holds no information about the class.
Two frames do: they differ by the shift.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RIGHT, DOWN, TURN = range(3)
"""The columns of a shift: in widths of the picture, in heights, in whole turns."""

Shifts = NDArray[np.float64]
"""T frames x 3."""

TRAVEL = (0.8, 1.5)
"""How many times an actor crosses the picture in a clip."""
HOPS, HOP_HEIGHT = (1.5, 2.5), (0.35, 0.5)
SWINGS, SWING_REACH, TURNS_A_WIDTH = (1.2, 2.0), (0.18, 0.28), 1.2


def random_shifts(motion: str, generator: np.random.Generator, num_frames: int) -> Shifts:
    """Return what a motion adds to its start in each frame: (T, 3), 0 in the columns it rests in.

    Args:
        motion: A name of ``MOTIONS``.
        generator: Chooses speed, height and phase; the start must be drawn apart from it.
        num_frames: T, 1 or more, evenly over the clip.
    """
    shifts_T3 = np.zeros((num_frames, 3))
    MOTIONS[motion](shifts_T3, np.arange(num_frames) / num_frames, generator)
    return shifts_T3


def _stay(shifts_T3: Shifts, time_T: Shifts, generator: np.random.Generator) -> None:
    """Leave an actor where it is."""


def _travel(column: int, way: int) -> Callable[[Shifts, Shifts, np.random.Generator], None]:
    def travel(shifts_T3: Shifts, time_T: Shifts, generator: np.random.Generator) -> None:
        shifts_T3[:, column] = way * generator.uniform(*TRAVEL) * time_T

    return travel


def _jump(shifts_T3: Shifts, time_T: Shifts, generator: np.random.Generator) -> None:
    """Throw an actor up again and again, as weight would have it: along a parabola."""
    phase_T = (generator.uniform(*HOPS) * time_T + generator.random()) % 1
    shifts_T3[:, DOWN] = -generator.uniform(*HOP_HEIGHT) * 4 * phase_T * (1 - phase_T)


def _roll(shifts_T3: Shifts, time_T: Shifts, generator: np.random.Generator) -> None:
    """Roll an actor to and fro, like a ball in a bowl."""
    phase_T = generator.uniform(*SWINGS) * time_T + generator.random()
    shifts_T3[:, RIGHT] = generator.uniform(*SWING_REACH) * np.sin(math.tau * phase_T)
    shifts_T3[:, TURN] = TURNS_A_WIDTH * shifts_T3[:, RIGHT]


MOTIONS: dict[str, Callable[[Shifts, Shifts, np.random.Generator], None]] = {
    "jumping": _jump,
    "moving-down": _travel(DOWN, 1),
    "moving-left": _travel(RIGHT, -1),
    "moving-right": _travel(RIGHT, 1),
    "moving-up": _travel(DOWN, -1),
    "rolling": _roll,
    "still": _stay,
}
