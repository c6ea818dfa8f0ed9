"""Scores: what a model said of every picture, from which everything else is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from finelens.decision import Decision
from finelens.errors import RunError
from finelens.evaluation.targets import labelled_rows
from finelens.replacing import replacing
from finelens.task import BoolArray, FloatArray, Task

if TYPE_CHECKING:
    from finelens.data.example import Span

_ORIGIN = ("group", "start_s", "end_s")


@dataclass(frozen=True)
class Scores:
    """One row for every picture that was asked for, unreadable ones included.

    Attributes:
        ids: N names, unique.
        paths: N file paths.
        logits_NK: float32; rows of NaN for unreadable pictures.
        targets_NK: float32; 1, 0, or NaN for a class left out, rows of NaN for unknown labels.
        errors: N reasons why a picture could not be read, None where it could.
        task: The classes, in the order of the columns.
        groups: N names of the recordings that they come from, each None where there is none;
            None: no group is known.
        spans: N parts of their videos, each in seconds; None: every file is whole.
        notes: What a person should know of each of N clips' files, such as that it is cut off;
            None of pictures.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    logits_NK: NDArray[np.float32]
    targets_NK: NDArray[np.float32]
    errors: tuple[str | None, ...]
    task: Task
    groups: tuple[str | None, ...] | None = None
    spans: tuple[Span, ...] | None = None
    notes: tuple[str | None, ...] | None = None

    @property
    def num_examples(self) -> int:
        """Return N."""
        return len(self.ids)

    def readable(self) -> Scores:
        """Return the rows without an error."""
        return self._rows(np.array([error is None for error in self.errors], dtype=bool))

    def labelled(self) -> Scores:
        """Return the readable rows that have labels: those that can be judged."""
        readable = self.readable()
        return readable._rows(labelled_rows(readable.targets_NK))

    def _rows(self, chosen_N: BoolArray) -> Scores:
        rows = np.flatnonzero(chosen_N)
        return Scores(
            ids=tuple(self.ids[n] for n in rows),
            paths=tuple(self.paths[n] for n in rows),
            logits_NK=self.logits_NK[rows],
            targets_NK=self.targets_NK[rows],
            errors=tuple(self.errors[n] for n in rows),
            task=self.task,
            groups=None if self.groups is None else tuple(self.groups[n] for n in rows),
            spans=None if self.spans is None else tuple(self.spans[n] for n in rows),
            notes=None if self.notes is None else tuple(self.notes[n] for n in rows),
        )


def scores_table(scores: Scores, decision: Decision) -> pl.DataFrame:
    """Return the content of ``scores.parquet``, N rows.

    Columns: id, path, group, start_s and end_s (null where unknown or the whole file), error
    (null where readable), probabilities (calibrated, Array of K Float64: exactly the numbers
    the metrics are made of), logits and targets (Array of K Float32). NaN stands where a
    picture is unreadable or a target unknown.
    """
    num_classes, nothing = scores.task.num_classes, (None,) * scores.num_examples
    spans = scores.spans or ((None, None),) * scores.num_examples
    probabilities_NK = decision.probabilities(scores.task, scores.logits_NK)
    return pl.DataFrame(
        {
            "id": pl.Series(scores.ids, dtype=pl.String),
            "path": pl.Series(scores.paths, dtype=pl.String),
            "group": pl.Series(scores.groups or nothing, dtype=pl.String),
            "start_s": pl.Series([start_s for start_s, _ in spans], dtype=pl.Float64),
            "end_s": pl.Series([end_s for _, end_s in spans], dtype=pl.Float64),
            "error": pl.Series(scores.errors, dtype=pl.String),
            "probabilities": _array_column(probabilities_NK, pl.Float64(), num_classes),
            "logits": _array_column(scores.logits_NK, pl.Float32(), num_classes),
            "targets": _array_column(scores.targets_NK, pl.Float32(), num_classes),
        }
    )


def write_scores(path: Path, scores: Scores, decision: Decision) -> None:
    """Write ``scores.parquet``; an older one is replaced only when the new one is whole."""
    write_table(path, scores_table(scores, decision))


def read_scores(path: Path, task: Task) -> Scores:
    """Return the scores that ``write_scores`` wrote.

    Raises:
        RunError: If the file is missing, is not such a table, or holds another number of
            classes than the task.
    """
    # earlier versions wrote no origin
    table = read_table(path, ("id", "path", "error", "logits", "targets"), optional=_ORIGIN)
    has_origin = set(_ORIGIN) <= set(table.columns)
    logits_NK = table["logits"].to_numpy()
    if logits_NK.shape[1:] != (task.num_classes,):
        raise RunError(
            f"{path} holds scores of shape {logits_NK.shape}, and the model has "
            f"{task.num_classes} classes; run `finelens evaluate` again"
        )
    return Scores(
        ids=tuple(table["id"]),
        paths=tuple(table["path"]),
        logits_NK=np.array(logits_NK, dtype=np.float32),
        targets_NK=np.array(table["targets"].to_numpy(), dtype=np.float32),
        errors=tuple(table["error"]),
        task=task,
        groups=tuple(table["group"]) if has_origin else None,
        spans=tuple(table.select("start_s", "end_s").iter_rows()) if has_origin else None,
    )


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file so that a reader meets the old one or the new, never a part.

    Raises:
        RunError: If it cannot be written (a full disk); the old file stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            table.write_parquet(temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        # polars tells a full disk as an error of computing
        reason = str(error).splitlines()[0]
        raise RunError(
            f"{path} cannot be written ({reason}); free some space and try again"
        ) from error


def read_table(
    path: Path, columns: tuple[str, ...], *, optional: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Return the named columns of a Parquet file of an evaluation folder.

    Args:
        path: The file.
        columns: Those it must have.
        optional: Those that come along where it has them.

    Raises:
        RunError: If the file is missing, broken, or lacks a column.
    """
    try:
        known = pl.read_parquet_schema(path)
        chosen = (*columns, *(name for name in optional if name in known))
        return pl.read_parquet(path, columns=list(chosen))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(
            f"{path} cannot be read ({reason}); run `finelens evaluate` again"
        ) from error


def _array_column(values_NK: FloatArray, kind: pl.DataType, num_classes: int) -> pl.Series:
    dtype = pl.Array(kind, num_classes)
    if not len(values_NK):
        return pl.Series([], dtype=dtype)
    return pl.Series(values_NK).cast(dtype)
