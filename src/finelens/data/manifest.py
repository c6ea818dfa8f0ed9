"""The manifest: the one table that every source of pictures becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from finelens.data.media import Medium, find_medium, one_of
from finelens.errors import DataError, RunError, did_you_mean
from finelens.task import Task, TaskKind

SPLITS = ("train", "val", "test")

SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What people call the splits, in lower case."""

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "path": pl.String(),
    "labels": pl.List(pl.String()),
    "ignored": pl.List(pl.String()),
    "split": pl.String(),
    "group": pl.String(),
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
}
"""``id`` is the posix path relative to the data's root, ``path`` is absolute. ``labels`` null
says unknown, an empty list says that no class is true. ``ignored`` are the classes that count
neither as present nor as absent. A clip's ``path`` is its place, see ``parse_place``, and of a
folder of frames ends in ``/``. ``split``, ``group``, ``start_s`` and ``end_s`` may be null."""

_HASHED_ROWS = 100_000


@dataclass(frozen=True, eq=False)
class Manifest:
    """Pictures or clips with their labels and splits, and the task those labels make.

    Attributes:
        table: One row a picture, exactly the columns of ``SCHEMA``; ids are unique.
        task: The classes, in the order of the target columns, and the kind of the task.
        group_origin: What the source took groups from, such as ``column "group" of a.csv``; None
            where it found none, or the manifest is read back from a run.
    """

    table: pl.DataFrame
    task: Task
    group_origin: str | None = None

    @property
    def has_labels(self) -> bool:
        """Return whether any example has known labels, be they none."""
        return self.table["labels"].null_count() < self.num_examples

    @property
    def num_examples(self) -> int:
        """Return N."""
        return self.table.height

    @property
    def ids(self) -> list[str]:
        """Return the N ids, in row order."""
        return self.table["id"].to_list()

    @property
    def paths(self) -> list[str]:
        """Return the N absolute paths, in row order."""
        return self.table["path"].to_list()

    @property
    def splits(self) -> dict[str, int]:
        """Return the number of pictures of each split there is, in the order of ``SPLITS``."""
        counts = dict(self.table["split"].drop_nulls().value_counts().iter_rows())
        return {split: counts[split] for split in SPLITS if split in counts}

    @property
    def groups(self) -> list[str | None]:
        """Return each row's group, such as the recording it is cut from; None: it has none."""
        return self.table["group"].to_list()

    @property
    def spans(self) -> list[tuple[float | None, float | None]]:
        """Return each row's start and end in its video, seconds; None: the video's own."""
        return list(self.table.select("start_s", "end_s").iter_rows())

    @property
    def media(self) -> Medium:
        """Return what the rows are, pictures or clips, as ``find_medium`` does."""
        return find_medium(self.table)

    def of_split(self, split: str) -> Manifest:
        """Return the rows of one split, in row order.

        Raises:
            DataError: If the split is unknown or has no picture.
        """
        if split not in SPLITS:
            raise DataError(f'split "{split}" is unknown{did_you_mean(split, SPLITS)}')
        rows = self.table.filter(pl.col("split") == split)
        if rows.is_empty():
            one = one_of(self.media)
            raise DataError(f'split "{split}" has no {one}{_present(self.splits, one)}')
        return replace(self, table=rows)

    def without(self, ids: Collection[str]) -> Manifest:
        """Return the manifest without the rows of the given ids; ids it does not hold are no error.

        Raises:
            DataError: If no picture would be left.
        """
        skipped = pl.Series(list(ids), dtype=pl.String)
        rows = self.table.filter(~pl.col("id").is_in(skipped.implode()))
        if rows.is_empty():
            raise DataError(
                f"no {one_of(self.media)} is left: all {self.num_examples} were skipped"
            )
        return replace(self, table=rows)

    def targets(self) -> NDArray[np.float32]:
        """Return the target rows, shape (N, K), values 1, 0 or NaN.

        The same rows as ``Task.targets``, without a Python loop over pictures.
        """
        targets_NK = np.zeros((self.num_examples, self.task.num_classes), dtype=np.float32)
        targets_NK[self.positions("ignored")] = np.nan
        targets_NK[self.positions("labels")] = 1.0
        targets_NK[self.table["labels"].is_null().to_numpy()] = np.nan
        return targets_NK

    def positions(self, column: str = "labels") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the row and the class index of every entry of ``labels`` or ``ignored``."""
        pairs = (
            self.table.select(pl.col(column))
            .with_row_index("row")
            .explode(column)
            .drop_nulls(column)
            .select(
                pl.col("row").cast(pl.Int64),
                pl.col(column).cast(pl.Enum(self.task.classes)).to_physical().cast(pl.Int64),
            )
        )
        return pairs["row"].to_numpy(), pairs[column].to_numpy()

    def sha256(self) -> str:
        """Return the hexadecimal SHA-256 of what the rows say, independent of where files lie.

        It covers ids, labels, ignored, splits and groups; neither the order of rows nor that of
        a row's labels matters.
        """
        digest = hashlib.sha256()
        rows = self.table.sort("id").select(
            "id", pl.col("labels").list.sort(), pl.col("ignored").list.sort(), "split", "group"
        )
        for part in rows.iter_slices(_HASHED_ROWS):
            lines = part.select(pl.struct(pl.all()).struct.json_encode().str.join("\n"))
            digest.update(f"{lines.item()}\n".encode())
        return digest.hexdigest()


def build_manifest(
    table: pl.DataFrame,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    group_origin: str | None = None,
) -> Manifest:
    """Return a validated manifest of a table that holds ``id``, ``path`` and ``labels``.

    Args:
        table: Columns of ``SCHEMA``; those missing beyond the three above are filled with nulls
            (``ignored`` with empty lists), those foreign to it are dropped.
        task: ``multi-class``, ``multi-label``, or ``auto``: multi-label when any labelled
            picture has no label, several, or ignored ones.
        classes: All classes in order; None takes those that occur as labels, sorted.
        group_origin: What the groups were taken from; of no account where no row has one.

    Raises:
        DataError: If there is no row, no label and no ``classes``, an unknown class or split, an
            id twice, only one class that every picture has, labels that contradict the task, or
            pictures beside clips.
    """
    table = _to_schema(table)
    if table.is_empty():
        raise DataError("the data holds no picture and no clip")
    find_medium(table)
    _check_ids(table)
    _check_splits(table)
    names = _resolve_classes(table, classes)
    kind = _resolve_kind(table, task)
    if kind is TaskKind.MULTI_CLASS:
        _check_one_label_each(table)
    if len(names) == 1:
        _check_single_class(table, names[0], kind, is_given=classes is not None)
    has_groups = table["group"].null_count() < table.height
    return Manifest(table, Task(kind, names), group_origin if has_groups else None)


def read_manifest(path: Path, *, task: str, classes: Sequence[str]) -> Manifest:
    """Return the manifest whose table a run keeps.

    Raises:
        RunError: If the file is missing or broken.
    """
    try:
        return build_manifest(pl.read_parquet(path), task=task, classes=classes)
    except (OSError, pl.exceptions.PolarsError, DataError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} cannot be read ({reason}); put it back") from error


def _to_schema(table: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in ("id", "path", "labels") if name not in table.columns]
    if missing:
        raise DataError(f"a manifest needs columns id, path and labels; {missing[0]} is missing")
    columns = [
        pl.col(name).cast(kind) if name in table.columns else pl.lit(None, dtype=kind).alias(name)
        for name, kind in SCHEMA.items()
    ]
    return table.select(columns).with_columns(
        pl.col("ignored").fill_null(pl.lit([], dtype=SCHEMA["ignored"]))
    )


def _check_ids(table: pl.DataFrame) -> None:
    if table["id"].n_unique() == table.height:
        return
    media = find_medium(table)
    repeated = table.filter(pl.col("id").is_duplicated())
    lists = repeated.with_columns(pl.col("labels").list.sort())
    contradictory = lists.filter(~pl.struct("id", "labels").is_duplicated())
    if contradictory.is_empty():
        raise DataError(
            f'"{repeated["id"][0]}" is listed more than once '
            f"({repeated['id'].n_unique()} such {media}); keep one row of each"
        )
    first = contradictory["id"][0]
    said = [_quoted(labels) for labels in lists.filter(pl.col("id") == first)["labels"].to_list()]
    raise DataError(
        f'contradictory labels: "{first}" is listed as {" and as ".join(said)} '
        f"({contradictory['id'].n_unique()} such {media}); keep one row a {one_of(media)}, "
        "with all its labels in one cell"
    )


def _check_splits(table: pl.DataFrame) -> None:
    unknown = table.filter(~pl.col("split").is_in(SPLITS))
    if not unknown.is_empty():
        value = unknown["split"][0]
        raise DataError(
            f'split "{value}" of "{unknown["id"][0]}" is unknown '
            f"({unknown.height} such rows){did_you_mean(value, SPLITS)}"
        )


def _resolve_classes(table: pl.DataFrame, classes: Sequence[str] | None) -> tuple[str, ...]:
    used = pl.concat([table["labels"], table["ignored"]]).explode().drop_nulls().unique()
    if classes is None:
        if used.is_empty():
            raise DataError(
                f"no {one_of(find_medium(table))} has a label; give labels, or the classes to "
                "tell apart"
            )
        return tuple(sorted(used.to_list()))
    repeated = [name for n, name in enumerate(classes) if name in classes[:n]]
    if repeated:
        raise DataError(f'data.classes: "{repeated[0]}" is given twice')
    unknown = sorted(set(used.to_list()) - set(classes))
    if unknown:
        first = table.filter(
            pl.col("labels").list.contains(unknown[0]) | pl.col("ignored").list.contains(unknown[0])
        )["id"][0]
        raise DataError(
            f'class "{unknown[0]}" of "{first}" is unknown{did_you_mean(unknown[0], classes)}'
        )
    return tuple(classes)


def _resolve_kind(table: pl.DataFrame, task: str) -> TaskKind:
    choices = ("auto", *TaskKind)
    if task not in choices:
        raise DataError(f'data.task: "{task}" is unknown{did_you_mean(task, choices)}')
    if task != "auto":
        return TaskKind(task)
    is_many = table.select(
        ((pl.col("labels").list.len() != 1) | (pl.col("ignored").list.len() > 0)).any()
    ).item()
    return TaskKind.MULTI_LABEL if is_many else TaskKind.MULTI_CLASS


def _check_one_label_each(table: pl.DataFrame) -> None:
    wrong = table.filter(pl.col("labels").list.len() != 1)
    if not wrong.is_empty():
        media = find_medium(table)
        raise DataError(
            f'contradictory labels: the task is multi-class, and "{wrong["id"][0]}" has '
            f"{_quoted(wrong['labels'][0].to_list())} ({wrong.height} such {media}); "
            f"give each {one_of(media)} one label, or set data.task to multi-label"
        )


def _check_single_class(table: pl.DataFrame, name: str, kind: TaskKind, *, is_given: bool) -> None:
    # one class to find is a task, as long as some picture is without it
    is_absent_somewhere = (table["labels"].list.len() == 0).any()
    if kind is TaskKind.MULTI_CLASS or not (is_given or is_absent_somewhere):
        raise DataError(
            f'only one class, "{name}": there is nothing to tell apart; add a second class, '
            f"or {find_medium(table)} with no label and data.task multi-label"
        )


def _present(splits: dict[str, int], one: str) -> str:
    if not splits:
        return f"; no {one} has a split"
    return "; there are " + ", ".join(f"{count} in {name}" for name, count in splits.items())


def _quoted(labels: list[str] | None) -> str:
    if labels is None:
        return "unlabelled"
    return " + ".join(f'"{label}"' for label in labels) or "no label"
