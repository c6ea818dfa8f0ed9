"""What lies beside an array of clips: labels, groups and the names of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from finelens.data.manifest import SPLIT_NAMES
from finelens.data.sources.array_files import StoredArray
from finelens.data.sources.cells import number_cells, read_columns, split_cells, text_cells
from finelens.data.sources.numbered import as_numbers
from finelens.errors import DataError

WORDS = {
    "labels": ("labels", "label", "y", "targets", "target"),
    "groups": ("groups", "group"),
    "classes": ("class_names", "classes", "label_names", "names"),
}
"""What people call the arrays beside ``clips`` or ``x``, in lower case."""

_SPLITS = "train|validation|valid|val|test"
# train_x, x_train and xtrain, but neither values nor latest
_SPLIT = re.compile(rf"^({_SPLITS})(?=[_.-]|$)|(?:(?<=[_.-])|(?<=^[xy]))({_SPLITS})$")


def split_of(name: str) -> tuple[str, str | None]:
    """Return the rest of an array's name, lower case, and its split: ``x_val`` is x of val."""
    found = _SPLIT.search(name.lower())
    if found is None:
        return name.lower(), None
    rest = name.lower()[: found.start()] + name.lower()[found.end() :]
    return rest.strip("_.-"), SPLIT_NAMES[found[1] or found[2]]


def find_beside(
    clips: StoredArray, arrays: Sequence[StoredArray], kind: str, *, is_alone: bool
) -> StoredArray | None:
    """Return the array of a kind that belongs to one of clips, or None.

    ``clips_labels`` belongs to ``clips`` and ``y_train`` to ``x_train``; ``labels`` to the only
    array of clips.

    Args:
        clips: The array of clips.
        arrays: All arrays of the file or folder.
        kind: A key of ``WORDS``.
        is_alone: Whether there is no other array of clips.
    """
    others = {array.name.lower(): array for array in arrays if not array.holds_clips}
    split = split_of(clips.name)[1]
    for word in WORDS[kind]:
        for name, array in others.items():
            is_of_split = split_of(name) == (word, split) and (split is not None or is_alone)
            if name == f"{clips.name.lower()}_{word}" or is_of_split:
                return array
    by_name = {word: others[word] for word in WORDS[kind] if word in others}
    return next(iter(by_name.values()), None) if is_alone else None


def read_labels(array: StoredArray) -> tuple[pl.Series, int]:
    """Return the labels of each row and how many classes the array has columns for, at least.

    Integers (N,) or (N, 1) are numbers of classes, text (N,) their names, rows of 0 and 1
    (N, K) one-hot or multi-hot. The labels are List(Int64) or List(String).

    Raises:
        DataError: If it is none of these.
    """
    values = array.load()
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind in "US" and values.ndim == 1:
        texts = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
        return pl.Series([[text] for text in texts.tolist()], dtype=pl.List(pl.String)), 0
    if values.dtype.kind in "biuf" and values.ndim == 1 and np.all(values == np.floor(values)):
        return pl.Series([[int(n)] for n in values.tolist()], dtype=pl.List(pl.Int64)), 0
    if values.dtype.kind in "biuf" and values.ndim == 2 and np.all((values == 0) | (values == 1)):
        rows = [np.flatnonzero(row_K).tolist() for row_K in values]
        return pl.Series(rows, dtype=pl.List(pl.Int64)), values.shape[1]
    raise DataError(
        f'"{array.file}": labels {array} are neither whole numbers (N,), text (N,) nor '
        "rows of 0 and 1 (N, K)"
    )


def read_class_names(array: StoredArray) -> list[str]:
    """Return the names of the classes, from number 0.

    Raises:
        DataError: If they are not a list of text.
    """
    values = array.load()
    if values.ndim != 1 or values.dtype.kind != "U":
        raise DataError(f'"{array.file}": class names {array} must be text, shape (K,)')
    return values.tolist()


def read_label_table(file: Path, num_rows: int, separator: str) -> pl.DataFrame:
    """Return the rows that a table of labels names: ``row``, ``labels``, ``split``, ``group``.

    Columns: ``row`` or ``index``, from 0 (without one, rows count in order), ``label`` or
    ``labels``, optional ``split`` and ``group``.

    Raises:
        DataError: If the table cannot be used or names a row that the array has not.
    """
    raw = read_columns(file)
    named = next((name for name in ("labels", "label") if name in raw.columns), None)
    if named is None:
        raise DataError(
            f'table "{file}" has no column "label"; it has {", ".join(raw.columns[:12])}'
        )
    column = next((name for name in ("row", "index") if name in raw.columns), None)
    counted = pl.Series("row", range(raw.height), dtype=pl.Float64)
    rows = counted if column is None else number_cells(raw, column, file, mend="give its number")
    is_wrong = rows.is_null() | (rows < 0) | (rows >= num_rows) | (rows != rows.floor())
    wrong = is_wrong.fill_null(value=True).arg_true()
    if len(wrong):
        raise DataError(
            f'table "{file}": row {wrong[0] + 1} is of clip {rows[int(wrong[0])]}, and the array '
            f"has clips 0 to {num_rows - 1}"
        )
    return pl.DataFrame(
        {
            "row": rows.cast(pl.Int64),
            "labels": as_numbers(split_cells(raw[named], separator)),
            "split": text_cells(raw, "split").str.to_lowercase().replace(SPLIT_NAMES),
            "group": text_cells(raw, "group"),
        }
    )
