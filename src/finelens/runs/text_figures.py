"""The figures in text: what lines of a log say, by name or where a pattern finds it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finelens.errors import ConfigError, did_you_mean

PATTERN_GROUPS = ("loss", "accuracy", "epoch", "split")
"""The names a pattern's groups may have; it needs one of the first two."""

SPLIT_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "eval": "val", "evaluation": "val", "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
"""Words for a split as logs write them, mapped to its name; a line without one is of train."""

_SPLITS = "|".join(sorted(SPLIT_WORDS, key=len, reverse=True))
_NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)"
_EPOCH = re.compile(r"(?<![a-z_])epoch[\"']?[\s:=#\[(]*(\d{1,9}(?:\.\d+)?)(?!\d)", re.IGNORECASE)
_SPLIT = re.compile(rf"\b({_SPLITS})\b", re.IGNORECASE)
_FIGURE = re.compile(
    rf"(?P<best>\bbest[ _](?:(?:{_SPLITS})[ _])?)?"
    rf"(?<![\w@])(?:(?P<split>{_SPLITS})[_/-])?(?P<name>loss|acc(?:uracy)?(?:@1)?)[\"']?"
    rf"\s*(?:[:=]|is\b|->)?\s*(?P<number>{_NUMBER})(?!\w|\.\d)(?:/(?P<of>\d+)|(?P<percent>\s?%))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Figure:
    """One number of a log.

    Attributes:
        split: Of the pictures it was measured on.
        name: ``loss`` or ``accuracy``.
        value: As written; divided by 100 where it has a percent sign.
        line: The line's number, from 0.
        is_share: Whether a percent sign or a denominator tells that it is a fraction now.
        epoch: None until it is known.
    """

    split: str
    name: str
    value: float
    line: int
    is_share: bool = False
    epoch: int | None = None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a user's pattern, its groups checked.

    Raises:
        ConfigError: If it is no regular expression, or has other groups than those of
            ``PATTERN_GROUPS``, or neither of the first two.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f'pattern "{pattern}" is not a regular expression: {error}; put a backslash before '
            "a bracket, point or star that is meant as itself"
        ) from error
    for name in compiled.groupindex:
        if name not in PATTERN_GROUPS:
            hint = did_you_mean(name, PATTERN_GROUPS)
            raise ConfigError(f'pattern "{pattern}": group "{name}" is unknown{hint}')
    if not {"loss", "accuracy"} & set(compiled.groupindex):
        raise ConfigError(
            f'pattern "{pattern}" has no group named loss or accuracy (epoch and split may be '
            r'added); write one, such as "Loss (?P<loss>\S+) Acc (?P<accuracy>\S+)"'
        )
    return compiled


def find_named(lines: Iterable[str]) -> Iterator[int | Figure]:
    """Return what lines say by name: the epochs, and after each the figures of its line."""
    for number, line in enumerate(lines):
        if found := _EPOCH.search(line):
            yield _epoch(found[1])
        seen = set()
        for match in _FIGURE.finditer(line):
            figure = _figure(line, match, number)
            # of "loss: 0.5, auxiliary loss: 0.3" the first is meant
            if match["best"] is None and (figure.split, figure.name) not in seen:
                seen.add((figure.split, figure.name))
                yield figure


def _figure(line: str, match: re.Match[str], number: int) -> Figure:
    words = match["split"] or next(
        (found[1] for found in reversed([*_SPLIT.finditer(line, 0, match.start("name"))])), "train"
    )
    name = "loss" if match["name"].lower() == "loss" else "accuracy"
    value = float(match["number"])
    if match["of"]:
        value = value / int(match["of"]) if int(match["of"]) else math.nan
    if match["percent"]:
        value /= 100
    is_share = bool(match["of"] or match["percent"])
    return Figure(SPLIT_WORDS[words.lower()], name, value, number, is_share)


def find_matched(
    lines: Iterable[str], wanted: re.Pattern[str], path: Path
) -> Iterator[int | Figure]:
    """Return what lines say where a pattern finds it.

    Epochs are read by name where the pattern has no group for them.

    Raises:
        ConfigError: If a group finds something that is no number.
    """
    has_epoch = "epoch" in wanted.groupindex
    for number, line in enumerate(lines):
        if not has_epoch and (found := _EPOCH.search(line)):
            yield _epoch(found[1])
        for match in wanted.finditer(line):
            if has_epoch and match["epoch"] is not None:
                yield _epoch(_checked(match["epoch"], "epoch", path, number))
            yield from _told(match, path, number)


def _told(match: re.Match[str], path: Path, number: int) -> Iterator[Figure]:
    told = {name: text for name, text in match.groupdict().items() if text is not None}
    split = told.get("split", "train").strip().lower()
    for name in ("loss", "accuracy"):
        if name not in told:
            continue
        text = told[name].rstrip(" ,;")
        value = float(_checked(text.rstrip(" %"), name, path, number))
        is_share = text.endswith("%") or match.string.startswith("%", match.end(name))
        share = value / 100 if is_share else value
        yield Figure(SPLIT_WORDS.get(split, split), name, share, number, is_share)


def _checked(text: str, name: str, path: Path, number: int) -> str:
    allowed = r"\d{1,9}(?:\.\d+)?" if name == "epoch" else _NUMBER
    if not re.fullmatch(allowed, text, re.IGNORECASE):
        raise ConfigError(
            f'{path}, line {number + 1}: the pattern\'s group {name} found "{text}", which is no '
            f"number; narrow it, such as (?P<{name}>[0-9.]+)"
        )
    return text


def _epoch(text: str) -> int:
    # some programs count in parts of an epoch: 0.35 lies in the first, and 1.0 ends it
    return math.ceil(float(text))
