"""The comparison's page: what its template shows, and the files written beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from finelens.errors import ConfigError
from finelens.reporting.comparison import Comparison
from finelens.reporting.comparison_table import Column, column_of, shown_columns
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.reporting.page import percent, render_page
from finelens.reporting.pairing import MOST_IN_ALL_PAIRS
from finelens.reporting.record import METRIC_WORDS
from finelens.reporting.verdict import (
    better_of,
    is_significant,
    tell_interval,
    tell_p,
    tell_points,
)
from finelens.runs.directory import write_text_atomic

_FILES = ("comparison.html", "comparison.csv", "pairs.csv")
_TESTS = {
    "McNemar": "McNemar's exact test, with Newcombe's interval",
    "McNemar by group (sign flips)": "sign flips of whole groups in place of McNemar's test, with "
    "an interval by the bootstrap of whole groups",
    "paired bootstrap": "paired bootstrap",
    "paired bootstrap by group": "paired bootstrap of whole groups",
}


def check_comparison_folder(folder: Path) -> None:
    """Raise where a comparison would lie among other things.

    Raises:
        ConfigError: If the folder is a file, or holds anything but an earlier comparison; hidden
            files do not count.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file; name a new folder")
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    odd = [path.name for path in found if path.name not in _FILES and path.name[0] != "."]
    if odd:
        raise ConfigError(
            f"--out {folder} holds other things than a comparison, such as {odd[0]}; name a new "
            "folder"
        )


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Return the path of ``comparison.html``, written with comparison.csv and pairs.csv."""
    page = folder / "comparison.html"
    write_text_atomic(folder / "comparison.csv", comparison.table.write_csv())
    write_text_atomic(folder / "pairs.csv", comparison.pairs.write_csv())
    write_text_atomic(page, render_page("comparison.html.jinja", comparison_context(comparison)))
    return page


def comparison_context(comparison: Comparison) -> dict[str, Any]:
    """Return everything that the comparison's template shows."""
    groups = {
        words: [column for column in columns if column.name in comparison.table.columns]
        for words, columns in shown_columns(
            comparison.split, comparison.metric, comparison.noun
        ).items()
    }
    cost = {"cost": groups.pop("cost")}
    return {
        "split": comparison.split,
        "noun": comparison.noun,
        "verdict": comparison.verdict,
        "notes": comparison.notes,
        "warnings": comparison.warnings,
        "charts": comparison.charts,
        "roc": comparison.roc,
        "curve_classes": sorted(enumerate(comparison.classes), key=lambda item: item[1]),
        "areas": _areas(comparison),
        "figures": _columns(comparison.table, groups),
        "cost": _columns(comparison.table, cost),
        **_pairs(comparison),
    }


def _columns(table: pl.DataFrame, groups: Mapping[str, list[Column]]) -> dict[str, Any]:
    """Return a part of the table as the page shows it: headings in groups, and rows."""
    filled = {words: columns for words, columns in groups.items() if columns}
    columns = [column for of_group in filled.values() for column in of_group]
    return {
        "groups": [(words, len(of_group)) for words, of_group in filled.items()],
        "headings": [column.words for column in columns],
        "rows": _rows(table, columns),
    }


def _rows(table: pl.DataFrame, columns: list[Column]) -> list[dict[str, Any]]:
    best = {column.name: _best(table, column) for column in columns}
    return [
        {"run": row["run"], "backbone": row["backbone"], "cells": [
            {"value": row[column.name], "text": column.tell(row[column.name]),
             "is_best": row[column.name] is not None and row[column.name] == best[column.name],
             "interval": _told_interval(row, column.name)}
            for column in columns
        ]}
        for row in table.iter_rows(named=True)
    ]  # fmt: skip


def _areas(comparison: Comparison) -> list[dict[str, Any]]:
    names = [column_of(comparison.split, "roc_auc"), f"{comparison.split}_micro_roc_auc"]
    return [
        {"run": row["run"], "macro": row.get(names[0]), "micro": row.get(names[1])}
        for row in comparison.table.iter_rows(named=True)
    ]


def _pairs(comparison: Comparison) -> dict[str, Any]:
    """Return one row a pair of runs: what the tests of the shown metrics say."""
    metrics = METRIC_SETS[comparison.metric].in_pairs
    table = comparison.pairs.filter(pl.col("metric").is_in(metrics))
    pairs = [
        {"run": rows[0]["run"], "other": rows[0]["other"], "num_pictures": rows[0]["num_pictures"],
         "cells": [_tested(row) for row in rows]}
        for rows in (
            sorted(of_pair.to_dicts(), key=lambda row: metrics.index(row["metric"]))
            for _, of_pair in table.group_by("run", "other", maintain_order=True)
        )
    ]  # fmt: skip
    tests: dict[str, list[str]] = {}
    for row in table.unique("metric").sort("metric").iter_rows(named=True):
        tests.setdefault(_TESTS[row["test"]], []).append(METRIC_WORDS[row["metric"]])
    return {
        "pairs": pairs,
        "pair_metrics": [METRIC_WORDS[name] for name in metrics],
        "tests": [f"{' and '.join(words)} by {test}" for test, words in tests.items()],
        "is_against_best": comparison.table.height > MOST_IN_ALL_PAIRS,
    }


def _tested(row: dict[str, Any]) -> dict[str, Any]:
    known = row["difference"] is not None
    return {
        "difference": row["difference"],
        "points": tell_points(row["difference"]) if known else "–",
        "interval": tell_interval(row["low"], row["high"]),
        "p_value": row["p_value"],
        "p": tell_p(row["p_value"]).removeprefix("p ").removeprefix("= "),
        "holm_p_value": row["holm_p_value"],
        "holm_p": tell_p(row["holm_p_value"]).removeprefix("p ").removeprefix("= "),
        "better": better_of(row) if is_significant(row) else "",
        "is_known": row["holm_p_value"] is not None,
    }


def _best(table: pl.DataFrame, column: Column) -> float | None:
    values = table[column.name].drop_nulls()
    if column.best is None or values.n_unique() < 2:
        return None
    return values.max() if column.best == "max" else values.min()  # pyright: ignore


def _told_interval(row: dict[str, Any], column: str) -> str:
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"
