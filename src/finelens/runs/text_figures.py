"""The figures in text: what lines of a log say, by name or where a pattern finds it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from finelens.errors import ConfigError, did_you_mean

PATTERN_GROUPS = ("loss", "accuracy", "epoch", "split")
"""The names a pattern's groups may have; it needs one of the first two."""

SPLIT_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "eval": "val", "evaluation": "val", "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
"""Words for a split as logs write them, mapped to its name."""

_SPLITS = "|".join(sorted(SPLIT_WORDS, key=len, reverse=True))
_NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)"
_EPOCH = re.compile(r"(?<![a-z_])epoch[\"']?[\s:=#\[(]*(\d{1,9}(?:\.\d+)?)(?!\d)", re.IGNORECASE)
_SPLIT = re.compile(rf"\b({_SPLITS})\b", re.IGNORECASE)
_HEADING = re.compile(rf"\W*({_SPLITS})\b", re.IGNORECASE)
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


def find_named(lines: Iterable[Sequence[str]]) -> Iterator[int | Figure]:
    """Return what lines say by name: the epochs, and after each the figures of its line.

    Args:
        lines: Each as the states it was in, the last one last; one unless it was overwritten.
    """
    reader = _NamedReader()
    for number, states in enumerate(lines):
        yield from _last_told(reader.read(state, number) for state in states)


class _NamedReader:
    """Reads a log's lines in their order; knows which split the epoch's lines named last."""

    def __init__(self) -> None:
        # nothing tells where an epoch ends before the first one is named
        self._split: str | None = None

    def read(self, text: str, number: int) -> list[int | Figure]:
        """Return the epoch and the figures of a line's state."""
        events: list[int | Figure] = []
        if found := _EPOCH.search(text):
            events.append(_epoch(found[1]))
            self._split = "train"
        words = _SPLIT.findall(text)
        figures = _figures(text, number, "train" if words else self._split or "train")
        if self._split and words and (figures or _HEADING.match(text)):
            self._split = SPLIT_WORDS[words[-1].lower()]
        return [*events, *figures]


def _figures(text: str, number: int, unsaid: str) -> list[Figure]:
    """Return a text's figures, those that no split's word goes before as of ``unsaid``."""
    found: dict[tuple[str, str], Figure] = {}
    for match in _FIGURE.finditer(text):
        if match["best"] is None:
            figure = _figure(text, match, number, unsaid)
            # of "loss: 0.5, auxiliary loss: 0.3" the first is meant
            found.setdefault((figure.split, figure.name), figure)
    return list(found.values())


def _last_told(states: Iterable[Iterable[int | Figure]]) -> Iterator[int | Figure]:
    """Return what the states of one line say, of each epoch the last of every figure."""
    told: dict[int | None, dict[tuple[str, str], list[Figure]]] = {}
    epoch = None
    for events in states:
        renewed: set[tuple[int | None, str, str]] = set()
        for event in events:
            if isinstance(event, int):
                epoch = event
                told.setdefault(epoch, {})
                continue
            of_epoch, key = told.setdefault(epoch, {}), (event.split, event.name)
            if (epoch, *key) not in renewed:
                of_epoch[key] = []
            renewed.add((epoch, *key))
            of_epoch[key].append(event)
    for epoch, figures in told.items():
        if epoch is not None:
            yield epoch
        yield from chain.from_iterable(figures.values())


def _figure(text: str, match: re.Match[str], number: int, unsaid: str) -> Figure:
    before = _SPLIT.findall(text, 0, match.start("name"))
    words = match["split"] or (before[-1] if before else unsaid)
    name = "loss" if match["name"].lower() == "loss" else "accuracy"
    value = float(match["number"])
    if match["of"]:
        value = value / int(match["of"]) if int(match["of"]) else math.nan
    if match["percent"]:
        value /= 100
    is_share = bool(match["of"] or match["percent"])
    return Figure(SPLIT_WORDS[words.lower()], name, value, number, is_share)


def find_matched(
    lines: Iterable[Sequence[str]], wanted: re.Pattern[str], path: Path
) -> Iterator[int | Figure]:
    """Return what lines, each as its states, say where a pattern finds it.

    Epochs are read by name where the pattern has no group for them.

    Raises:
        ConfigError: If a group finds something that is no number.
    """
    for number, states in enumerate(lines):
        yield from _last_told(_matched(state, wanted, path, number) for state in states)


def _matched(text: str, wanted: re.Pattern[str], path: Path, number: int) -> Iterator[int | Figure]:
    has_epoch = "epoch" in wanted.groupindex
    if not has_epoch and (found := _EPOCH.search(text)):
        yield _epoch(found[1])
    for match in wanted.finditer(text):
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
