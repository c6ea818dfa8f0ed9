"""Predictions on the command line: lines to read, and files to keep or hand in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from finelens.cli.display import CONSOLE
from finelens.cli.tables import check_output, write_table
from finelens.errors import ConfigError
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
    num_errors = int(table["error"].is_not_null().sum())
    failed = f", {num_errors} of them unreadable" if num_errors else ""
    if out is not None:
        write_table(out, _nested(table) if out.suffix == ".jsonl" else table)
        yield f"{table.height} rows{failed} written to {out}"
    if decisions is not None:
        write_decisions(decisions, table)
        array, text = (decisions.with_suffix(kind) for kind in _DECISION_KINDS)
        blank = f"{failed} (zeros in {array.name}, empty in {text.name})" if failed else ""
        media = "clips" if "note" in table.columns else "pictures"
        yield f"decisions on {table.height} {media}{blank} written to {array} and {text}"


def print_predictions(table: pl.DataFrame) -> None:
    """Print a line a picture: what was found, each with its probability."""
    for row in table.iter_rows(named=True):
        CONSOLE.print(f"{row['path']}: {_found(row)}", markup=False, soft_wrap=True)


def _found(row: dict[str, object]) -> str:
    if row["error"] is not None:
        return f"error: {row['error']}"
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
