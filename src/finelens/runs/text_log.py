"""The text log: losses and accuracies that another program printed while it trained."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from finelens.errors import RunError
from finelens.runs.text_figures import Figure, compile_pattern, find_matched, find_named

_PHASE = "training"
# progress bars go back to the beginning of their line, Keras' step by step
_OVERWRITTEN = re.compile(r"[\r\b]+")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def read_text_log(path: Path, pattern: str | None = None) -> list[dict[str, Any]]:
    r"""Return a text log's rows ``{"epoch", "phase", "split", "name", "value"}``.

    Read are lines such as ``Loss: 0.1234 Acc: 0.9876``, ``val Loss: 0.5 Acc: 91.2%`` or
    ``loss=0.5 val_loss=0.6``, whatever stands around them. A figure belongs to the epoch that
    its line or the nearest line before it names (``Epoch 3/24``); where none is named
    anywhere, the n-th line of a split is epoch n. Epochs counted from 0 are counted from 1.
    Of a line that is written over again and again, as progress bars are, the last state of an
    epoch counts. A line that names no split is of the one that the epoch's lines named last,
    else of train.
    Accuracies are fractions: with a percent sign, or where any is above 1, they are divided
    by 100. NaN and infinity are None. Lines that tell a ``best`` so far are passed over.

    Args:
        path: The file: UTF-8, or UTF-16 with its mark.
        pattern: A regular expression searched for in each line, with a named group ``loss``
            or ``accuracy`` and, optionally, ``epoch`` and ``split``, such as
            ``L (?P<loss>\S+) A (?P<accuracy>\S+)``.

    Raises:
        ConfigError: If the pattern is no regular expression, lacks those groups, or finds
            something that is no number.
        RunError: If the file cannot be read, is no text, or holds no such line.
    """
    wanted = None if pattern is None else compile_pattern(pattern)
    lines = [_states(line) for line in _read_lines(path)]
    events = list(find_named(lines) if wanted is None else find_matched(lines, wanted, path))
    if not any(isinstance(event, Figure) for event in events):
        raise RunError(_nothing_found(path, [states[-1] for states in lines if states], pattern))
    return [
        {"epoch": figure.epoch, "phase": _PHASE, "split": figure.split, "name": figure.name,
         "value": figure.value if math.isfinite(figure.value) else None}
        for figure in _as_fractions(_numbered(events))
    ]  # fmt: skip


def _read_lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    # a shell on Windows redirects in UTF-16
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")
    if "\0" in text:
        raise RunError(f"{path} is neither a run folder nor a text log; name one of them")
    return re.split(r"\r*\n", _ANSI.sub("", text))


def _states(line: str) -> list[str]:
    """Return what a line said each time before it was written over, and at last, blanks apart."""
    return [state for state in _OVERWRITTEN.split(line) if state.strip()]


def _numbered(events: list[int | Figure]) -> list[Figure]:
    """Return the figures with their epochs, counted from 1."""
    marks = [event for event in events if isinstance(event, int)]
    if not marks:
        return _counted([event for event in events if isinstance(event, Figure)])
    # "Loss ..., then Epoch 1 done": the mark comes after its figures
    is_after = not isinstance(events[0], int) and isinstance(events[-1], int)
    shift = 1 if min(marks) == 0 else 0
    epoch = marks[-1] if is_after else marks[0] - 1
    numbered = []
    for event in reversed(events) if is_after else events:
        if isinstance(event, int):
            epoch = event
        else:
            numbered.append(replace(event, epoch=max(epoch + shift, 0)))
    return numbered[::-1] if is_after else numbered


def _counted(figures: Iterable[Figure]) -> list[Figure]:
    lines: dict[str, list[int]] = {}
    counted = []
    for figure in figures:
        seen = lines.setdefault(figure.split, [])
        if figure.line not in seen[-1:]:
            seen.append(figure.line)
        counted.append(replace(figure, epoch=len(seen)))
    return counted


def _as_fractions(figures: list[Figure]) -> list[Figure]:
    """Return the figures with accuracies in [0, 1]; one above 1 tells that all are percent."""
    bare = [one for one in figures if one.name == "accuracy" and not one.is_share]
    if not any(one.value > 1 and math.isfinite(one.value) for one in bare):
        return figures
    return [
        replace(one, value=one.value / 100)
        if one.name == "accuracy" and not one.is_share
        else one
        for one in figures
    ]  # fmt: skip


def _nothing_found(path: Path, lines: list[str], pattern: str | None) -> str:
    if not lines:
        return f"{path} is empty"
    first = lines[0].strip()[:60]
    if pattern is not None:
        return (
            f'{path}: none of {len(lines)} lines holds the pattern "{pattern}"; '
            f'the first is "{first}"'
        )
    return (
        f'{path}: none of {len(lines)} lines says a loss or an accuracy, as "Loss: 0.1234 Acc: '
        f'0.9876" or "val_loss=0.5" do; the first is "{first}"; give --pattern, such as '
        r"'(?P<loss>\S+) (?P<accuracy>\S+)$'"
    )
