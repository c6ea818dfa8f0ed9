"""Sampling: which frames of a clip stand for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finelens.errors import ConfigError


@dataclass(frozen=True)
class Sampling:
    """The rule that takes T frames of a clip of any length.

    Attributes:
        frames: T, at least 1.
        stride: Every stride-th frame from the start; None spreads T frames evenly, each from
            the middle of one of T equal parts.
        start: The first frame that may be taken, counted from 0.

    Raises:
        ConfigError: If frames or stride is below 1, or start below 0.
    """

    frames: int
    stride: int | None = None
    start: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or (self.stride is not None and self.stride < 1):
            raise ConfigError(f"frames: {self.frames} and stride: {self.stride} must be 1 or more")
        if self.start < 0:
            raise ConfigError(f"start: {self.start} must be 0 or more; frames count from 0")

    @property
    def num_enough(self) -> int:
        """Return how many frames a clip must have so that its last need not stand for others."""
        return self.start + (self.frames - 1) * (self.stride or 1) + 1

    @property
    def num_read(self) -> int | None:
        """Return after how many frames of a clip the rest no longer matters, None if all do."""
        return None if self.stride is None else self.num_enough

    def indices(self, num_frames: int) -> NDArray[np.int64]:
        """Return which T of a clip's frames are taken, int64 (T,), ascending from 0.

        Evenly spread over the N frames from the start on: the floor of (t + 1/2) N / T. Where
        these are too few, they are taken in turn (or every stride-th) and the clip's last one is
        repeated.

        Args:
            num_frames: Of the whole clip, at least 1.
        """
        turns_T = np.arange(self.frames, dtype=np.int64)
        num_left = num_frames - self.start
        if self.stride is None and num_left >= self.frames:
            return self.start + (2 * turns_T + 1) * num_left // (2 * self.frames)
        return np.minimum(self.start + turns_T * (self.stride or 1), num_frames - 1)
