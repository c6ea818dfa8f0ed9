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
        stride: Every stride-th frame from the first; None spreads T frames evenly, each from
            the middle of one of T equal parts.

    Raises:
        ConfigError: If a value is below 1.
    """

    frames: int
    stride: int | None = None

    def __post_init__(self) -> None:
        if self.frames < 1 or (self.stride is not None and self.stride < 1):
            raise ConfigError(f"frames: {self.frames} and stride: {self.stride} must be 1 or more")

    def indices(self, num_frames: int) -> NDArray[np.int64]:
        """Return which T of a clip's frames are taken, int64 (T,), ascending from 0.

        Evenly spread: the floor of (t + 1/2) N / T. Where the clip is too short, its frames are
        taken in turn (or every stride-th) and its last one is repeated.

        Args:
            num_frames: N, at least 1.
        """
        turns_T = np.arange(self.frames, dtype=np.int64)
        if self.stride is None and num_frames >= self.frames:
            return (2 * turns_T + 1) * num_frames // (2 * self.frames)
        return np.minimum(turns_T * (self.stride or 1), num_frames - 1)
