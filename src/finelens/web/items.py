"""The items: the run's own scored pictures and clips, by ids that do not tell where they lie."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from finelens.data.example import Span
from finelens.errors import DataError, did_you_mean
from finelens.evaluation.scores import Scores, read_scores
from finelens.runs.directory import RunDirectory
from finelens.task import Task

Stamp = tuple[int, ...]
"""Tells a file from the one that replaced it."""

_ID_BYTES = 16


@dataclass(frozen=True)
class Place:
    """Where an item lies."""

    path: str
    span: Span
    is_clip: bool


@dataclass(frozen=True)
class _Split:
    """A split's scores as they were read, the rows of its ids, and its names to show."""

    stamp: Stamp
    scores: Scores
    rows: dict[str, int]
    names: tuple[str, ...]


class Items:
    """A run's evaluated splits, read when they are first asked for and when they were replaced.

    Args:
        directory: The run.
        task: Its classes.
        is_clips: Whether its model takes clips.
        secret: Key of the ids: whoever lacks it can neither guess nor invert one.
    """

    def __init__(
        self, directory: RunDirectory, task: Task, *, is_clips: bool, secret: bytes
    ) -> None:
        self._directory = directory
        self._task = task
        self._is_clips = is_clips
        self._secret = secret
        self._read: dict[str, _Split] = {}
        self._reading = threading.Lock()

    @property
    def splits(self) -> list[str]:
        """Return the evaluated splits, test first, as ``finelens top`` takes them."""
        return self._directory.evaluated_splits

    def split(self, name: str | None) -> str:
        """Return an evaluated split: the one named, or of None the first.

        Raises:
            DataError: If it is none, or there is none.
        """
        if not self.splits:
            raise DataError("no split of this run has been evaluated; use `finelens evaluate`")
        if name is None:
            return self.splits[0]
        if name not in self.splits:
            raise DataError(
                f'split "{name}" has not been evaluated{did_you_mean(name, self.splits)}'
            )
        return name

    def scores(self, split: str) -> Scores:
        """Return an evaluated split's scores: the same object until they are evaluated anew."""
        return self._latest(split).scores

    def names(self, split: str) -> tuple[str, ...]:
        """Return what an evaluated split's rows are called, without where this machine keeps them.

        The scores' own ids, of those that are absolute paths what lies below their common folder.
        """
        return self._latest(split).names

    def stamps(self) -> tuple[Stamp, ...]:
        """Return what changes when any split is evaluated anew."""
        return tuple(_stamp(self._path(split)) for split in self.splits)

    def id_of(self, split: str, name: str) -> str:
        """Return the opaque id of a picture or clip of a split, by its id in the scores."""
        digest = hashlib.blake2b(key=self._secret, digest_size=_ID_BYTES)
        digest.update(f"{self._directory.root.absolute()}\0{split}\0{name}".encode())
        return digest.hexdigest()

    def find(self, item: str) -> tuple[str, int] | None:
        """Return an item's split and its row in the split's scores, None if no item has this id."""
        for split in self.splits:
            row = self._latest(split).rows.get(item)
            if row is not None:
                return split, row
        return None

    def place(self, item: str) -> Place | None:
        """Return where an item lies, None if no item has this id."""
        found = self.find(item)
        return None if found is None else self._place(*found)

    def _place(self, split: str, row: int) -> Place:
        scores = self.scores(split)
        span = (None, None) if scores.spans is None else scores.spans[row]
        return Place(scores.paths[row], span, is_clip=self._is_clips)

    def _latest(self, split: str) -> _Split:
        path = self._path(split)
        with self._reading:
            stamp = _stamp(path)
            read = self._read.get(split)
            if read is None or read.stamp != stamp:
                scores = read_scores(path, self._task)
                rows = {self.id_of(split, name): row for row, name in enumerate(scores.ids)}
                read = self._read[split] = _Split(stamp, scores, rows, _shown(scores.ids))
            return read

    def _path(self, split: str) -> Path:
        return self._directory.evaluation(split) / "scores.parquet"


def _shown(ids: Sequence[str]) -> tuple[str, ...]:
    paths = [PurePath(name) for name in ids]
    folders = [path.parent for path in paths if path.is_absolute()]
    root = os.path.commonpath(folders) if folders else ""
    return tuple(
        str(path.relative_to(root)) if path.is_absolute() else name
        for name, path in zip(ids, paths, strict=True)
    )


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()  # whoever reads it says so
    return (found.st_ino, found.st_size, found.st_mtime_ns)
