"""The tables a command prints, and the files it writes them to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

import polars as pl
from rich.table import Table
from rich.text import Text

from finelens.cli.display import CONSOLE
from finelens.errors import ConfigError, did_you_mean
from finelens.replacing import replacing

_LIST_SEPARATOR = "|"
_UNBOUNDED = 100_000


def check_output(path: Path, *, option: str = "--out", kinds: Collection[str] = ()) -> None:
    """Raise where a file cannot be written to a path, before the work is done.

    Args:
        path: The file.
        option: What gave it.
        kinds: The suffixes it may have; those of tables where none is given.

    Raises:
        ConfigError: If its kind is unknown, or its folder is missing or closed to writing.
    """
    known = kinds or WRITERS
    if path.suffix not in known:
        raise ConfigError(f'{option} {path}: "{path.suffix}" is unknown{did_you_mean("", known)}')
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option} {path}: the folder {path.parent} does not exist; make it first"
        )
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise ConfigError(f"{option} {path}: no file can be written there; choose another place")


def write_table(path: Path, table: pl.DataFrame, *, option: str = "--out") -> None:
    """Write a table in the format of a path's suffix, whole or not at all.

    Raises:
        ConfigError: If it cannot be written (a full disk).
    """
    try:
        with replacing(path) as temporary:
            WRITERS[path.suffix](temporary, table)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{option} {path}: cannot be written: {reason}") from error


def print_table(table: pl.DataFrame) -> None:
    """Print a table; numbers with three decimals, from 10 on with one."""
    shown = Table(box=None, header_style="bold")
    for name, kind in table.schema.items():
        # names and paths may hold what rich takes for markup
        shown.add_column(
            Text(name), justify="right" if kind.is_numeric() else "left", overflow="fold"
        )
    for row in table.iter_rows():
        shown.add_row(*(Text(_cell(value)) for value in row))
    CONSOLE.print(shown)


def print_sideways(table: pl.DataFrame, *, by: str) -> None:
    """Print a table with a column for each of its rows, headed by the column ``by``.

    Where the terminal is too narrow the columns are headed by numbers, and what the numbers
    stand for, with the other columns of text, is printed first.
    """
    shown = _sideways(table, by)
    # a console measures no wider than itself
    unbounded = CONSOLE.options.update(max_width=_UNBOUNDED)
    if CONSOLE.measure(shown, options=unbounded).maximum > CONSOLE.width:
        numbered = table.with_row_index("", offset=1)
        words = [name for name, kind in table.schema.items() if kind == pl.String]
        print_table(numbered.select("", by, *(name for name in words if name != by)))
        CONSOLE.print()
        shown = _sideways(numbered.drop({by, *words}), "")
    CONSOLE.print(shown)


def _sideways(table: pl.DataFrame, by: str) -> Table:
    shown = Table(box=None, header_style="bold")
    shown.add_column("")
    for name in table[by]:
        shown.add_column(Text(str(name)), justify="right", overflow="fold")
    for column in table.drop(by):
        cells = (Text(_cell(value)) for value in column)
        shown.add_row(Text(column_words(column.name)), *cells)
    return shown


def column_words(name: str) -> str:
    """Return a column's name as it is printed, such as ``val mean AP``."""
    words = name.replace("mean_average_precision", "mean AP").replace("_f1", " F1")
    return words.replace("_", " ")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return "" if value is None else str(value)


def _write_csv(path: Path, table: pl.DataFrame) -> None:
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    table.with_columns(pl.col(lists).list.join(_LIST_SEPARATOR)).write_csv(path)


def _write_jsonl(path: Path, table: pl.DataFrame) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in table.iter_rows(named=True):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    table.write_parquet(path)


WRITERS: dict[str, Callable[[Path, pl.DataFrame], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
