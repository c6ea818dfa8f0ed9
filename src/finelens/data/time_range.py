"""The time range of a clip: the part of a video file that a row of a table means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from finelens.errors import DataError


@dataclass(frozen=True)
class TimeRange:
    """Seconds from a video's beginning, from ``start_s`` up to but without ``end_s``.

    Raises:
        DataError: If they are no numbers, negative, or the end is not after the start.
    """

    start_s: float = 0.0
    end_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < math.inf or not self.end_s > self.start_s:
            raise DataError(
                f"start_s {self.start_s:g} and end_s {self.end_s:g} are no time range; "
                "0 <= start_s < end_s must hold"
            )

    @classmethod
    def of(cls, start_s: float | None, end_s: float | None) -> TimeRange:
        """Return the range of two optional seconds; None is the video's beginning or end."""
        return cls(0.0 if start_s is None else start_s, math.inf if end_s is None else end_s)

    def __contains__(self, time_s: float) -> bool:
        # what is before the beginning belongs to it: some files count from below zero
        return (self.start_s <= time_s or self.start_s == 0) and time_s < self.end_s
