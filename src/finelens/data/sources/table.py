"""Tables: a CSV, TSV or Parquet file with a row for every picture or clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.clip_places import CLIP_EXTENSIONS
from finelens.data.manifest import SPLIT_NAMES, Manifest, build_manifest
from finelens.data.sources.cells import (
    number_cells,
    read_columns,
    read_header,
    split_cells,
    text_cells,
)
from finelens.data.sources.files import PICTURE_EXTENSIONS, check_files_exist
from finelens.data.sources.spans import CUT_FROM, check_spans, group_spans, name_spans
from finelens.errors import DataError, did_you_mean
from finelens.progress import Progress, Silent

TABLES_OF_FOLDERS = ("manifest.csv", "manifest.parquet")
"""A folder that holds one of these is read by it."""

INDEX = "index.csv"
"""So is one that holds this, with columns of paths and of labels."""

_LABEL_COLUMNS = ("labels", "label")
_OTHER_COLUMNS = ("path", "split", "group", "start_s", "end_s", "start", "end")
_YES_NO = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def read_table(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the pictures or clips of a table, in its order.

    Columns: ``path`` (absolute, or relative to the table's folder); ``labels`` or ``label``, or
    else one column of 0 and 1 a class; optional ``split``, ``group``, ``start_s`` and ``end_s``
    (or ``start`` and ``end``), in seconds. A path is a picture, a video, a folder of frames (or
    ``FOLDER#1-17``, some of them) or ``FILE.npy#17``, an element of an array.
    Beside ``labels``, further columns are left alone. An empty cell of ``labels`` says that no
    class is true; an empty 0/1 cell says that this class is unknown. A table without columns of
    labels has unlabelled pictures. A row with a span of time has ``#start-end`` in its id; rows
    without a group that are cut from one video or folder have it as their group.

    Args:
        path: The file, ending in .csv, .tsv or .parquet.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; names the 0/1 columns where there are further ones.
        label_separator: The mark between labels in a cell. ``auto`` takes the first of ``|``,
            ``;`` and ``,`` that occurs in any cell; an empty string takes cells whole.
        progress: Is told of columns that differ from a known one in case or spaces alone.

    Raises:
        DataError: If the file or a column cannot be used, files are missing, or
            ``build_manifest`` refuses.
    """
    raw = read_columns(path)
    misspelt = _misspelt(raw.columns)
    if "path" not in raw.columns:
        near = next((name for name, known in misspelt.items() if known == "path"), None)
        meant = f'; call column "{near}" so' if near else ""
        raise DataError(
            f'table "{path}" has no column "path"; it has {", ".join(raw.columns[:12])}'
            f"{', ...' if raw.width > 12 else ''}{meant}"
        )
    if raw.is_empty():
        raise DataError(f'table "{path}" holds no row')
    _check_paths(raw, path)
    rows = raw.select(*_locate(raw, path.absolute().parent))
    watched = progress or Silent()
    for name, known in misspelt.items():
        watched.say(f'note: column "{name}" of {path.name} is not used; did you mean "{known}"?')
    check_files_exist(rows["path"], where=f'table "{path}"')
    table = _mark_folders(rows).with_columns(
        **_labels(raw, path, classes, label_separator),
        split=text_cells(raw, "split").str.to_lowercase().replace(SPLIT_NAMES),
        group=text_cells(raw, "group"),
        start_s=_seconds(raw, "start", path),
        end_s=_seconds(raw, "end", path),
    )
    check_spans(table, where=f'table "{path}"')
    grouped = group_spans(table)
    return build_manifest(
        name_spans(grouped),
        task=task,
        classes=classes,
        group_origin=_group_origin(path, table["group"], grouped["group"]),
    )


def _misspelt(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns that are a known one but for case and spaces, and which that is."""
    known = {*_LABEL_COLUMNS, *_OTHER_COLUMNS} - set(columns)
    plain = {name: name.strip().casefold().replace(" ", "_") for name in columns}
    return {name: word for name, word in plain.items() if word in known and name != word}


def find_table(folder: Path) -> Path | None:
    """Return the table that speaks for a folder, or None.

    It is one of ``TABLES_OF_FOLDERS``, or ``INDEX`` where its columns say that it is meant.
    """
    for name in TABLES_OF_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    index = folder / INDEX
    names = read_header(index) if index.is_file() else []
    return index if "path" in names and set(names).intersection(_LABEL_COLUMNS) else None


def _group_origin(path: Path, given: pl.Series, grouped: pl.Series) -> str:
    column = [f'column "group" of {path.name}'] * (given.null_count() < len(given))
    cut = [CUT_FROM] * (grouped.null_count() < given.null_count())
    return " and ".join(column + cut)


def _locate(raw: pl.DataFrame, root: Path) -> list[pl.Expr]:
    prefix = f"{root.as_posix().rstrip('/')}/"
    written = pl.col("path").cast(pl.String)
    clean = written.str.replace_all(r"/(\./|/)+", "/").str.replace(r"^(\./)+", "")
    if raw["path"].dtype != pl.String:
        clean = written
    clean = clean.str.replace(r"(.)/+$", "$1")
    absolute = pl.when(clean.str.starts_with("/")).then(clean).otherwise(pl.lit(prefix) + clean)
    return [clean.str.strip_prefix(prefix).alias("id"), absolute.alias("path")]


def _mark_folders(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ``/`` at the end of the paths that are folders of frames."""
    known = "|".join(name.removeprefix(".") for name in PICTURE_EXTENSIONS + CLIP_EXTENSIONS)
    suspects = rows.filter(~pl.col("path").str.contains(rf"(?i)\.({known})$"))["path"].unique()
    folders = [path for path in suspects if Path(path).is_dir()]
    is_folder = pl.col("path").is_in(pl.Series(folders, dtype=pl.String).implode())
    return rows.with_columns(path=pl.when(is_folder).then(pl.col("path") + "/").otherwise("path"))


def _check_paths(raw: pl.DataFrame, path: Path) -> None:
    blank = (raw["path"].is_null() | (raw["path"].cast(pl.String) == "")).arg_true()
    if len(blank):
        raise DataError(
            f'table "{path}": row {blank[0] + 1} has no path ({len(blank)} such rows); fill it in'
        )


def _labels(
    raw: pl.DataFrame, path: Path, classes: Sequence[str] | None, separator: str
) -> dict[str, pl.Series | pl.Expr]:
    for name in _LABEL_COLUMNS:
        if name in raw.columns:
            return {"labels": split_cells(raw[name], separator)}
    misspelt = _misspelt(raw.columns)
    columns = [name for name in raw.columns if name not in (*_OTHER_COLUMNS, *misspelt)]
    if not columns and classes is None:
        near = next((name for name, known in misspelt.items() if known in _LABEL_COLUMNS), None)
        meant = f', or call column "{near}" so' if near else ""
        raise DataError(
            f'table "{path}" has no labels: give a column "labels", such as cat|dog{meant}; or a '
            "column of 0 and 1 for each class"
        )
    if not columns:
        return {"labels": pl.lit(None, dtype=pl.List(pl.String))}
    return _from_columns(raw, path, classes, columns)


def _from_columns(
    raw: pl.DataFrame, path: Path, classes: Sequence[str] | None, columns: list[str]
) -> dict[str, pl.Series | pl.Expr]:
    names = list(classes) if classes is not None else columns
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise DataError(
            f'table "{path}" has no column "labels" and none for class "{unknown[0]}"'
            f"{did_you_mean(unknown[0], columns)}"
        )
    answers = raw.select([_yes_no(raw[name], path) for name in names])
    kept = pl.concat_list([pl.when(pl.col(n)).then(pl.lit(n)) for n in names]).list.drop_nulls()
    blank = pl.concat_list([pl.when(pl.col(n).is_null()).then(pl.lit(n)) for n in names])
    is_known = pl.any_horizontal([pl.col(n).is_not_null() for n in names])
    lists = answers.select(
        labels=pl.when(is_known).then(kept),
        ignored=pl.when(is_known)
        .then(blank.list.drop_nulls())
        .otherwise(pl.lit([], dtype=pl.List(pl.String))),
    )
    return {"labels": lists["labels"], "ignored": lists["ignored"]}


def _yes_no(column: pl.Series, path: Path) -> pl.Series:
    if column.dtype.is_nested():
        raise DataError(f'table "{path}": column "{column.name}" holds lists; call it "labels"')
    texts = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    texts = texts.to_frame().select(pl.when(pl.col(column.name) != "").then(pl.col(column.name)))
    answers = texts.to_series().replace_strict(_YES_NO, default=None, return_dtype=pl.Boolean)
    wrong = (answers.is_null() & texts.to_series().is_not_null()).arg_true()
    if len(wrong):
        raise DataError(
            f'table "{path}": column "{column.name}" holds "{column[int(wrong[0])]}", and a column '
            'a class holds 0 or 1; give a column "labels", or the names of classes in data.classes'
        )
    return answers


def _seconds(raw: pl.DataFrame, name: str, path: Path) -> pl.Series:
    column = f"{name}_s" if f"{name}_s" in raw.columns else name
    return number_cells(raw, column, path, mend="give seconds as a number")
