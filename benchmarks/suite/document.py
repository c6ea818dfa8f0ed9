"""The document: the table of results, put between two markers of a Markdown file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from suite.figures import SECONDS, Measured, Target, shortfalls

BEGIN, END = "<!-- bench: written by make bench -->", "<!-- bench: end -->"
GPU_BEGIN, GPU_END = "<!-- bench: written by make bench on a GPU -->", "<!-- bench: GPU end -->"
_HEADER = (
    "| row | what | finelens | peer | ratio (median; lowest to highest round) | target |\n"
    "|---|---|---|---|---|---|"
)


def table_line(key: str, what: str, peer: str, measured: Measured, target: Target) -> str:
    """Return a row's line of the table."""
    ratio = measured.ratio
    told = "" if ratio is None else f"**{_number(ratio.median)}x**"
    if ratio is not None and len(measured.ours) > 1:
        told += f" ({_number(ratio.lowest)} to {_number(ratio.highest)})"
    ours = _side(measured.ours, measured.our_qualities, measured.unit)
    if measured.peaks_mb:
        ours += f", {max(measured.peaks_mb):.0f} MB"
    theirs = _side(measured.theirs, measured.their_qualities, measured.unit)
    beside = f"{peer}: {theirs}" if peer else ""
    return f"| `{key}` | {what} | {ours} | {beside} | {told} | {_verdict(measured, target)} |"


def write_section(lines: Sequence[str], facts: Mapping[str, str]) -> str:
    """Return the table of lines, under a list of facts about how they came about."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return "\n".join([listed, "", _HEADER, *lines])


def splice(document: str, section: str, *, on_gpu: bool = False) -> str:
    """Return the document with the section between the markers of its kind of machine.

    Raises:
        ValueError: If a marker is missing, or they stand the wrong way round.
    """
    begin, end = (GPU_BEGIN, GPU_END) if on_gpu else (BEGIN, END)
    before, found, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the document must hold {begin!r} and, after it, {end!r}")
    return f"{before}{begin}\n{section}\n{end}{after}"


def _side(values: Sequence[float], qualities: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    told = f"{_number(statistics.median(values))} {unit}"
    return told + (f" at {statistics.median(qualities):.3f}" if qualities else "")


def _verdict(measured: Measured, target: Target) -> str:
    if target == Target():
        return "no target, for comparison"
    lacking = shortfalls(measured, target)
    return f"{_wanted(target)}: " + (f"missed ({', '.join(lacking)})" if lacking else "met")


def _wanted(target: Target) -> str:
    parts = []
    if target.times is not None:
        parts.append(f"at least {target.times:g}x")
    if target.seconds is not None:
        parts.append(f"under {target.seconds:g} {SECONDS}")
    if target.peak_mb is not None:
        parts.append(f"under {target.peak_mb:.0f} MB")
    if target.quality is not None:
        parts.append(f"quality {target.quality:g}")
    if target.quality_gap is not None:
        parts.append(f"quality within {100 * target.quality_gap:g} points")
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
