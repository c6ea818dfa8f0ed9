"""The cells of a table a person wrote: text, seconds and lists of labels."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from finelens.errors import DataError

LABEL_SEPARATORS = ("|", ";", ",")
"""The marks between labels that are looked for, in this order."""

_LONGEST_LINE = 1 << 20


def read_columns(path: Path) -> pl.DataFrame:
    """Return the columns of a .csv, .tsv or .parquet file; those of the first two are text.

    A .csv file whose first line holds semicolons and no comma is separated by these, as
    spreadsheets write it where the comma is the decimal mark.

    Raises:
        DataError: If the file is empty or cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        # as text: "007" is a name, not a number
        return pl.read_csv(path, separator=_separator(path), infer_schema=False)
    except pl.exceptions.NoDataError:
        raise DataError(f'table "{path}" is empty') from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f'table "{path}" cannot be read: {reason}') from error


def read_header(path: Path) -> list[str]:
    """Return the names of a .csv file's columns; none where it cannot be read."""
    try:
        return pl.read_csv(path, separator=_separator(path), n_rows=0, infer_schema=False).columns
    except (pl.exceptions.PolarsError, OSError):
        return []


def _separator(path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    return ";" if b";" in first and b"," not in first else ","


def split_cells(cells: pl.Series, separator: str) -> pl.Series:
    """Return the labels of each cell, List(String), without repeats; a blank cell has none.

    Args:
        cells: Text, numbers or lists.
        separator: The mark between labels; ``auto`` takes the first of ``LABEL_SEPARATORS``
            that occurs in any cell, an empty string takes cells whole.
    """
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


def text_cells(raw: pl.DataFrame, name: str) -> pl.Series:
    """Return a column as stripped text, null where blank, or all null where it is missing."""
    if name not in raw.columns:
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, raw.height)
    texts = raw[name].cast(pl.String).str.strip_chars()
    return texts.to_frame().select(pl.when(pl.col(name) != "").then(pl.col(name))).to_series()


def number_cells(raw: pl.DataFrame, name: str, path: Path, *, mend: str) -> pl.Series:
    """Return a column as Float64, null where blank, or all null where it is missing.

    Raises:
        DataError: Naming the first cell that is no number, and the mend.
    """
    texts = text_cells(raw, name)
    numbers = texts.cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & texts.is_not_null()).arg_true()
    if len(wrong):
        raise DataError(
            f'table "{path}": {name} of row {wrong[0] + 1} is "{texts[int(wrong[0])]}"; {mend}'
        )
    return numbers
