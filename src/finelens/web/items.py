"""The items: the run's own scored pictures and clips, by ids that do not tell where they lie."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from finelens.data.example import Span
from finelens.errors import DataError, did_you_mean
from finelens.evaluation.scores import Scores, read_scores
from finelens.runs.directory import RunDirectory
from finelens.task import Task

_ID_BYTES = 16


@dataclass(frozen=True)
class Place:
    """Where an item lies."""

    path: str
    span: Span
    is_clip: bool


class Items:
    """A run's evaluated splits, read when they are first asked for.

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
        self.scores = functools.cache(self._scores)
        self._ids = functools.cache(self._ids_of_split)

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

    def id_of(self, split: str, row: int) -> str:
        """Return the opaque id of a row of a split's scores."""
        digest = hashlib.blake2b(key=self._secret, digest_size=_ID_BYTES)
        name = self.scores(split).ids[row]
        digest.update(f"{self._directory.root.absolute()}\0{split}\0{name}".encode())
        return digest.hexdigest()

    def find(self, item: str) -> tuple[str, int] | None:
        """Return an item's split and its row in the split's scores, None if no item has this id."""
        for split in self.splits:
            row = self._ids(split).get(item)
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

    def _scores(self, split: str) -> Scores:
        return read_scores(self._directory.evaluation(split) / "scores.parquet", self._task)

    def _ids_of_split(self, split: str) -> dict[str, int]:
        return {self.id_of(split, row): row for row in range(self.scores(split).num_examples)}
