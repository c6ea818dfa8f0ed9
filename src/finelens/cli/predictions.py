"""Predictions on the command line: lines to read, and files to keep or hand in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from finelens.cli.display import CONSOLE
from finelens.cli.tables import check_output, write_table
from finelens.errors import ConfigError, DataError
from finelens.evaluation.decisions import write_decisions
from finelens.evaluation.predictions import PROBABILITY

_DECISION_KINDS = (".npy", ".csv")


def check_outputs(out: Path | None, decisions: Path | None) -> None:
    """Raise where predictions or decisions cannot be written, before the work is done.

    Raises:
        ConfigError: As ``check_output``, or if both would be the same file.
    """
    if out is not None:
        check_output(out)
    if decisions is None:
        return
    check_output(decisions, option="--decisions", kinds=_DECISION_KINDS)
    for kind in _DECISION_KINDS:
        file = decisions.with_suffix(kind)
        check_output(file, option="--decisions", kinds=_DECISION_KINDS)
        if out is not None and out.absolute() == file.absolute():
            raise ConfigError(
                f"--decisions {decisions} writes {file} too, and --out names it; "
                "give one of them another name"
            )


def write_outputs(table: pl.DataFrame, out: Path | None, decisions: Path | None) -> Iterator[str]:
    """Write predictions and decisions where asked for, and return lines that say so."""
    num_errors = _num_errors(table)
    failed = f", {num_errors} of them unreadable" if num_errors else ""
    comma, rows = "," if failed else "", "row" if table.height == 1 else "rows"
    if out is not None:
        write_table(out, _nested(table) if out.suffix == ".jsonl" else table)
        yield f"{table.height} {rows}{failed}{comma} written to {out}"
    if decisions is not None:
        write_decisions(decisions, table)
        array, text = (decisions.with_suffix(kind) for kind in _DECISION_KINDS)
        blank = f"{failed} (zeros in {array.name}, empty in {text.name})" if failed else ""
        media = "clips" if "note" in table.columns else "pictures"
        yield f"decisions on {table.height} {media}{blank}{comma} written to {array} and {text}"


def print_predictions(table: pl.DataFrame) -> None:
    """Print a line a picture: what was found, each with its probability; last how many failed."""
    for row in table.iter_rows(named=True):
        CONSOLE.print(f"{row['path']}: {_found(row)}", markup=False, soft_wrap=True)
    num_errors = _num_errors(table)
    if 0 < num_errors < table.height:
        CONSOLE.print(f"{num_errors} of {table.height} inputs could not be read")


def require_readable(table: pl.DataFrame) -> None:
    """Raise where nothing was predicted.

    Raises:
        DataError: If every input is unreadable.
    """
    if _num_errors(table) < table.height:
        return
    none = "the input" if table.height == 1 else f"none of the {table.height} inputs"
    could = "could not" if table.height == 1 else "could"
    raise DataError(f"{none} {could} be read")


def _num_errors(table: pl.DataFrame) -> int:
    return int(table["error"].is_not_null().sum())


def _found(row: dict[str, object]) -> str:
    if row["error"] is not None:
        # it begins with the path, as the line does
        return f"error: {str(row['error']).removeprefix(str(row['path']) + ': ')}"
    labels = row["labels"]
    assert isinstance(labels, list)
    found = ", ".join(f"{name} {row[PROBABILITY + name]:.2f}" for name in labels)
    note = row.get("note")
    return (found or "Not identified") + (f" ({note})" if note else "")


def _nested(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its probabilities in one mapping, as JSON Lines hold them."""
    names = [name for name in table.columns if name.startswith(PROBABILITY)]
    mapping = pl.struct(pl.col(name).alias(name.removeprefix(PROBABILITY)) for name in names)
    return table.select(pl.exclude(names), mapping.alias("probabilities"))
