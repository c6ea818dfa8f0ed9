"""The overlap: which examples of other data are files that a run was trained or chosen on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from finelens.data.clip_places import ClipPlace, parse_place
from finelens.data.example import Span
from finelens.data.file_content import digest, hash_bytes
from finelens.data.manifest import Manifest

_SEEN = ("train", "val")


@dataclass(frozen=True)
class Overlap:
    """How many examples of other data a run knows.

    Attributes:
        num_train: Those that lie in its train split.
        num_val: Of the others, those that lie in its val split.
        num_gone: The run's own train and val examples whose files are not where they were, so
            that nobody can tell whether the others are copies of them.
    """

    num_train: int
    num_val: int
    num_gone: int


class _Example(NamedTuple):
    place: ClipPlace
    span: Span
    split: str


def find_overlap(other: Manifest, own: Manifest) -> Overlap:
    """Return how many examples of other data are in a run's own train and val splits.

    They are where the file is the same one, however its path is spelled or linked, or holds the
    same bytes (of a folder of frames: all its files do). Of parts of one video or array, those
    count that share some of it. Only files of a size that both have are read.
    """
    asked = _examples(other.table)
    known = _examples(own.table.filter(pl.col("split").is_in(_SEEN)))
    found = _match(asked, known, _real_place)
    rest = [row for row, split in enumerate(found) if split is None]
    num_gone = 0
    if rest:
        size_of = cache(_num_bytes)
        num_gone = sum(size_of(one.place.path) is None for one in known)
        key = _content_key(
            {size_of(asked[row].place.path) for row in rest}
            & {size_of(one.place.path) for one in known},
            size_of,
        )
        copies = _match([asked[row] for row in rest], known, key)
        for row, split in zip(rest, copies, strict=True):
            found[row] = split
    return Overlap(found.count("train"), found.count("val"), num_gone)


def _examples(table: pl.DataFrame) -> list[_Example]:
    rows = table.select("path", "start_s", "end_s", "split").iter_rows()
    return [
        _Example(parse_place(path), (start_s, end_s), split) for path, start_s, end_s, split in rows
    ]


def _match(
    asked: Iterable[_Example],
    known: Iterable[_Example],
    key: Callable[[ClipPlace], Hashable | None],
) -> list[str | None]:
    """Return the split of the known examples that each asked one is, train before val."""
    parts: dict[Hashable, list[_Example]] = {}
    for one in known:
        parts.setdefault(key(one.place), []).append(one)
    parts.pop(None, None)
    splits = [
        {one.split for one in parts.get(key(example.place), ()) if _meet(example.span, one.span)}
        for example in asked
    ]
    return [next((split for split in _SEEN if split in of_one), None) for of_one in splits]


def _meet(span: Span, other: Span) -> bool:
    start_s, other_start_s = (one[0] or 0.0 for one in (span, other))
    end_s, other_end_s = (float("inf") if one[1] is None else one[1] for one in (span, other))
    return start_s < other_end_s and other_start_s < end_s


def _real_place(place: ClipPlace) -> ClipPlace:
    return replace(place, path=os.path.realpath(place.path))


def _content_key(
    sizes: set[int | None], size_of: Callable[[str], int | None]
) -> Callable[[ClipPlace], Hashable | None]:
    """Return the function from a place to what it holds; None where its size is not among these."""
    content_of = cache(_content)

    def key(place: ClipPlace) -> Hashable | None:
        num_bytes = size_of(place.path)
        if num_bytes is None or num_bytes not in sizes:
            return None
        content = content_of(place.path)
        return None if content is None else (content, replace(place, path=""))

    return key


def _num_bytes(path: str) -> int | None:
    """Return a file's size, or that of a folder's files together; None where there is none."""
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in _files(path))
    return None


def _content(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return digest("".join(hash_bytes(file) for file in _files(path)))
    return None


def _files(path: str) -> Sequence[Path]:
    place = Path(path)
    if not place.is_dir():
        return [place]
    return sorted(file for file in place.iterdir() if file.is_file())
