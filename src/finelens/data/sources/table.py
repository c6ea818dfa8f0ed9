"""Tables: a CSV, TSV or Parquet file with a row for every picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.manifest import SPLIT_NAMES, Manifest, build_manifest
from finelens.data.sources.files import check_files_exist
from finelens.errors import DataError, did_you_mean
from finelens.progress import Progress

LABEL_SEPARATORS = ("|", ";", ",")
"""The marks between labels that are looked for, in this order."""

_LABEL_COLUMNS = ("labels", "label")
_OTHER_COLUMNS = ("path", "split", "group", "start_s", "end_s")
_YES_NO = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def read_table(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the pictures of a table, in its order.

    Columns: ``path`` (absolute, or relative to the table's folder); ``labels`` or ``label``, or
    else one column of 0 and 1 a class; optional ``split``, ``group``, ``start_s`` and ``end_s``.
    Beside ``labels``, further columns are left alone. An empty cell of ``labels`` says that no
    class is true; an empty 0/1 cell says that this class is unknown. A table without columns of
    labels has unlabelled pictures. A row with a span of time has ``#start-end`` in its id.

    Args:
        path: The file, ending in .csv, .tsv or .parquet.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; names the 0/1 columns where there are further ones.
        label_separator: The mark between labels in a cell. ``auto`` takes the first of ``|``,
            ``;`` and ``,`` that occurs in any cell; an empty string takes cells whole.
        progress: Has no meaning here: a table is read at once.

    Raises:
        DataError: If the file or a column cannot be used, files are missing, or
            ``build_manifest`` refuses.
    """
    del progress
    raw = _read_columns(path)
    if "path" not in raw.columns:
        raise DataError(
            f'table "{path}" has no column "path"; it has {", ".join(raw.columns[:12])}'
            f"{', ...' if raw.width > 12 else ''}"
        )
    if raw.is_empty():
        raise DataError(f'table "{path}" holds no row')
    rows = raw.select(*_locate(raw, path.absolute().parent))
    _check_paths(raw, path)
    check_files_exist(rows["path"], where=f'table "{path}"')
    table = rows.with_columns(
        **_labels(raw, path, classes, label_separator),
        split=_texts(raw, "split").str.to_lowercase().replace(SPLIT_NAMES),
        group=_texts(raw, "group"),
        start_s=_seconds(raw, "start_s", path),
        end_s=_seconds(raw, "end_s", path),
    )
    return build_manifest(_name_spans(table), task=task, classes=classes)


def _read_columns(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        # as text: "007" is a name, not a number
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise DataError(f'table "{path}" is empty') from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f'table "{path}" cannot be read: {reason}') from error


def _locate(raw: pl.DataFrame, root: Path) -> list[pl.Expr]:
    prefix = f"{root.as_posix().rstrip('/')}/"
    written = pl.col("path").cast(pl.String)
    clean = written.str.replace_all(r"/(\./|/)+", "/").str.replace(r"^(\./)+", "")
    if raw["path"].dtype != pl.String:
        clean = written
    absolute = pl.when(clean.str.starts_with("/")).then(clean).otherwise(pl.lit(prefix) + clean)
    return [clean.str.strip_prefix(prefix).alias("id"), absolute.alias("path")]


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
            return {"labels": _split_cells(raw[name], separator)}
    columns = [name for name in raw.columns if name not in _OTHER_COLUMNS]
    if not columns:
        return {"labels": pl.lit(None, dtype=pl.List(pl.String))}
    return _from_columns(raw, path, classes, columns)


def _split_cells(cells: pl.Series, separator: str) -> pl.Series:
    if cells.dtype.is_nested():
        lists = cells.cast(pl.List(pl.String))
    else:
        texts = cells.cast(pl.String).fill_null("")
        if separator == "auto":
            found = (
                mark for mark in LABEL_SEPARATORS if texts.str.contains(mark, literal=True).any()
            )
            separator = next(found, "")
        lists = texts.str.split(separator) if separator else texts.reshape((-1, 1)).arr.to_list()
    tidy = pl.element().str.strip_chars()
    return lists.list.eval(
        tidy.filter(tidy.is_not_null() & (tidy != "")).unique(maintain_order=True)
    )


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


def _texts(raw: pl.DataFrame, name: str) -> pl.Series:
    if name not in raw.columns:
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, raw.height)
    texts = raw[name].cast(pl.String).str.strip_chars()
    return texts.to_frame().select(pl.when(pl.col(name) != "").then(pl.col(name))).to_series()


def _seconds(raw: pl.DataFrame, name: str, path: Path) -> pl.Series:
    texts = _texts(raw, name)
    seconds = texts.cast(pl.Float64, strict=False)
    wrong = (seconds.is_null() & texts.is_not_null()).arg_true()
    if len(wrong):
        raise DataError(
            f'table "{path}": {name} of row {wrong[0] + 1} is "{texts[int(wrong[0])]}"; '
            "give seconds as a number"
        )
    return seconds


def _name_spans(table: pl.DataFrame) -> pl.DataFrame:
    start, end = (pl.col(name).cast(pl.String).fill_null("") for name in ("start_s", "end_s"))
    has_span = pl.col("start_s").is_not_null() | pl.col("end_s").is_not_null()
    named = pl.concat_str("id", pl.lit("#"), start, pl.lit("-"), end)
    return table.with_columns(id=pl.when(has_span).then(named).otherwise("id"))
