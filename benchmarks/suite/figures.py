"""Figures: what rounds in turn say of two contenders, and whether that is enough."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = "s"
"""The unit in which less is better; of all others more is."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one contender is: of the medians, and of the rounds apart."""

    median: float
    lowest: float
    highest: float


def compare(ours: Sequence[float], theirs: Sequence[float], unit: str) -> Ratio:
    """Return how many times as fast ``ours`` are as ``theirs``, values of the same rounds.

    Raises:
        ValueError: If there is no round, or the two have not the same number.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds of one and {len(theirs)} of the other: give pairs")
    of_rounds = [times(*pair, unit) for pair in zip(ours, theirs, strict=True)]
    of_medians = times(statistics.median(ours), statistics.median(theirs), unit)
    return Ratio(of_medians, min(of_rounds), max(of_rounds))


def times(ours: float, theirs: float, unit: str) -> float:
    """Return how many times as fast a value is as another, of rates or of seconds."""
    return theirs / ours if unit == SECONDS else ours / theirs


@dataclass(frozen=True)
class Target:
    """What a row must reach; parts that are None ask for nothing.

    Attributes:
        times: Lowest ratio of the medians.
        seconds: What the median must stay under.
        peak_mb: What the peak of the resident memory must stay under, in every round.
        quality: Lowest quality of every round.
        quality_gap: How far the median quality may lie below the peer's.
    """

    times: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    quality: float | None = None
    quality_gap: float | None = None


@dataclass(frozen=True)
class Measured:
    """The values of a row's rounds, in turn.

    Attributes:
        unit: Of both.
        ours: finelens's.
        theirs: The peer's; empty where there is none.
        our_qualities: Of the rounds that have one.
        their_qualities: Likewise.
        peaks_mb: Peak memory of finelens's rounds, where it was measured.
    """

    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    our_qualities: Sequence[float] = ()
    their_qualities: Sequence[float] = ()
    peaks_mb: Sequence[float] = ()

    @property
    def ratio(self) -> Ratio | None:
        """Return the comparison, None without a peer."""
        return compare(self.ours, self.theirs, self.unit) if self.theirs else None


def shortfalls(measured: Measured, target: Target) -> list[str]:
    """Return what a row lacks of its target, empty where it is met."""
    found = []
    ratio = measured.ratio
    if target.times is not None and (ratio is None or ratio.median < target.times):
        found.append("speed")
    if target.seconds is not None and statistics.median(measured.ours) >= target.seconds:
        found.append("time")
    if target.peak_mb is not None and max(measured.peaks_mb, default=math.inf) >= target.peak_mb:
        found.append("memory")
    if target.quality is not None and min(measured.our_qualities, default=0) < target.quality:
        found.append("quality")
    if target.quality_gap is not None:
        gap = _median(measured.their_qualities) - _median(measured.our_qualities)
        if not gap <= target.quality_gap:  # NaN where one was not measured
            found.append("quality")
    return found


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan
