"""Arrays of clips: the processed form, (N, T, H, W, 3) uint8 with N labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from finelens.data.manifest import Manifest, build_manifest
from finelens.data.sources.array_files import ARRAY_EXTENSIONS, StoredArray, list_arrays
from finelens.data.sources.array_labels import (
    find_beside,
    read_class_names,
    read_label_table,
    read_labels,
    split_of,
)
from finelens.data.sources.numbered import name_classes
from finelens.errors import DataError
from finelens.progress import Progress

LABELS = "labels.csv"
"""Beside an array; of ``clips.npy`` also ``clips_labels.csv``."""


def read_arrays(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the clips of arrays (N, T, H, W, 3) uint8, in their order.

    Of an ``.npz`` the arrays of this shape are clips, whatever their names; of ``.npy`` files
    the one given, or all of a folder. ``x_train`` and ``y_train`` (``_val``, ``_test``) are of
    that split; ``labels`` or ``y``, ``clips_labels``, or a table ``labels.csv`` are the labels:
    see ``read_labels`` and ``read_label_table``. ``groups`` says which recording each clip is
    from, ``classes`` or ``class_names`` (text) what numbered labels mean. Clips without labels
    are unlabelled.

    Args:
        path: An ``.npz`` or ``.npy`` file, or a folder with one ``.npz`` or with ``.npy`` files.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; also names numbered labels where the data does not.
        label_separator: The mark between labels in a cell of ``labels.csv``.
        progress: Has no meaning here: no clip is read.

    Raises:
        DataError: If there is no such array, labels do not fit, arrays hold Python objects, or
            ``build_manifest`` refuses.
    """
    del progress
    path = _only_archive(path) or path
    clips, arrays = _clips_of(path)
    _check_clips(path, clips, arrays)
    tables = [_rows(array, arrays, label_separator, is_alone=len(clips) == 1) for array in clips]
    table = _join(path, [rows for rows, _ in tables])
    labels, classes = name_classes(
        table["labels"],
        names=_class_names(clips[0], arrays),
        classes=classes,
        num_classes=max(count for _, count in tables),
        where=f'"{path}"',
    )
    return build_manifest(
        table.with_columns(labels=labels),
        task=task,
        classes=classes,
        group_origin="the groups stored beside the clips",
    )


def list_places(file: Path) -> list[str]:
    """Return the places of all clips of an ``.npz`` or ``.npy`` file, in their order.

    Raises:
        DataError: If it is damaged or holds no array of clips.
    """
    clips, arrays = _clips_of(file)
    _check_clips(file, clips, arrays)
    return [
        str(array.place(row, is_alone=len(clips) == 1))
        for array in clips
        for row in range(array.shape[0])
    ]


def holds_clips(file: Path) -> bool:
    """Return whether an ``.npz`` or ``.npy`` file holds arrays (N, T, H, W, 3).

    Raises:
        DataError: If it is damaged.
    """
    return bool(_clips_of(file)[0])


def holds_arrays(folder: Path) -> bool:
    """Return whether a folder directly holds ``.npz`` or ``.npy`` files."""
    return any(file.suffix.lower() in ARRAY_EXTENSIONS for file in folder.iterdir())


def _clips_of(path: Path) -> tuple[list[StoredArray], list[StoredArray]]:
    """Return a path's arrays of clips, and all arrays that lie with them."""
    is_npy = path.suffix.lower() == ".npy"
    arrays = list_arrays(path.parent if is_npy else path)
    clips = [array for array in arrays if array.holds_clips]
    if is_npy:
        clips = [array for array in clips if array.file.name == path.name]
    return clips, arrays


def _only_archive(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    archives = sorted(file for file in path.iterdir() if file.suffix.lower() == ".npz")
    if len(archives) > 1:
        raise DataError(
            f'folder "{path}" holds "{archives[0].name}" and "{archives[1].name}"; give one of them'
        )
    return archives[0] if archives else None


def _check_clips(path: Path, clips: Sequence[StoredArray], arrays: Sequence[StoredArray]) -> None:
    if not clips:
        held = ", ".join(map(str, arrays[:6])) or "no array"
        raise DataError(f'"{path}" holds no array of clips (N, T, H, W, 3), but {held}')
    for array in clips:
        if array.dtype != np.uint8:
            raise DataError(
                f'"{array.file}": {array} is not uint8; save colours as whole numbers 0 to 255'
            )
        if 0 in array.shape:
            raise DataError(f'"{array.file}": {array} has an axis of length 0')


def _rows(
    clips: StoredArray, arrays: Sequence[StoredArray], separator: str, *, is_alone: bool
) -> tuple[pl.DataFrame, int]:
    """Return a row for each clip, and how many classes its labels have columns for."""
    labels = find_beside(clips, arrays, "labels", is_alone=is_alone)
    table = None if labels is not None else _label_table(clips, is_alone=is_alone)
    if table is not None:
        rows, num_classes = read_label_table(table, clips.shape[0], separator), 0
    else:
        groups = find_beside(clips, arrays, "groups", is_alone=is_alone)
        rows, num_classes = _rows_of_arrays(clips, labels, groups)
    split = pl.lit(split_of(clips.name)[1], dtype=pl.String)
    places = [clips.place(row, is_alone=is_alone) for row in rows["row"]]
    rows = rows.with_columns(
        id=pl.Series([str(replace(place, path=clips.file.name)) for place in places]),
        path=pl.Series([str(place) for place in places]),
        split=pl.coalesce("split", split),
    )
    return rows, num_classes


def _rows_of_arrays(
    clips: StoredArray, labels: StoredArray | None, groups: StoredArray | None
) -> tuple[pl.DataFrame, int]:
    for array in (labels, groups):
        if array is not None and array.shape[:1] != clips.shape[:1]:
            raise DataError(f'"{array.file}": {array} does not fit the clips {clips}; N must agree')
    rows = pl.DataFrame(
        {"row": range(clips.shape[0]), "labels": None, "split": None, "group": None},
        schema={"row": pl.Int64, "labels": pl.List(pl.Int64), "split": pl.String,
                "group": pl.String},
    )  # fmt: skip
    num_classes = 0
    if labels is not None:
        found, num_classes = read_labels(labels)
        rows = rows.with_columns(labels=found)
    if groups is not None:
        names = pl.Series(groups.load().astype(str).tolist(), dtype=pl.String)
        rows = rows.with_columns(group=names)
    return rows, num_classes


def _label_table(clips: StoredArray, *, is_alone: bool) -> Path | None:
    names = [f"{clips.name}_{LABELS}", f"{clips.file.stem}_{LABELS}"] + [LABELS] * is_alone
    files = (clips.file.parent / name for name in names)
    return next((file for file in files if file.is_file()), None)


def _class_names(clips: StoredArray, arrays: Sequence[StoredArray]) -> list[str] | None:
    found = find_beside(clips, arrays, "classes", is_alone=True)
    return None if found is None else read_class_names(found)


def _join(path: Path, tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    kinds = {rows.schema["labels"] for rows in tables if rows["labels"].null_count() < rows.height}
    if len(kinds) > 1:
        raise DataError(f'"{path}": some labels are numbers and others text; save them alike')
    kind = next(iter(kinds), pl.List(pl.Int64()))
    return pl.concat([rows.with_columns(pl.col("labels").cast(kind)) for rows in tables])
