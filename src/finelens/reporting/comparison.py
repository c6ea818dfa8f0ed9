"""The comparison: several runs in one honest table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from finelens.errors import RunError
from finelens.reporting.chart import Chart
from finelens.reporting.comparability import find_differences
from finelens.reporting.figures import Line, intervals_chart, runs_chart
from finelens.reporting.page import count, number, percent, render_page
from finelens.reporting.record import (
    METRIC_WORDS,
    RunRecord,
    interval_of,
    metric_of,
    read_record,
)
from finelens.runs.directory import RunDirectory, write_text_atomic

_SHOWN = {
    "mean_average_precision": (
        "mean_average_precision", "example.precision", "example.recall", "example.f1",
        "macro.f1", "micro.f1",
    ),
    "accuracy": ("accuracy", "top5_accuracy", "macro.f1", "mean_average_precision"),
}  # fmt: skip
"""Metrics in the page's table, by the main one; the table itself holds all."""
_FACTS = {
    "parameters": ("parameters", count),
    "trained_parameters": ("trained parameters", count),
    "training_minutes": ("training minutes", lambda value: number(value, 1)),
    "training_pictures_per_second": ("training pictures/s", lambda value: number(value, 0)),
    "scoring_pictures_per_second": ("scoring pictures/s", lambda value: number(value, 0)),
}
_FEWER_IS_BETTER = {"parameters", "trained_parameters", "training_minutes"}


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        table: One row a run, in the order given: run, backbone, ``<split>_<metric>`` columns in
            [0, 1] with ``_low`` and ``_high`` ends of the compared split's 95 % intervals,
            parameters, times; null where a run has no such figure.
        split: The split that is compared.
        metric: The metric that the runs are judged by.
        warnings: What keeps the rows from being comparable; empty when nothing does.
        charts: The main metric with its intervals, and over epochs.
    """

    table: pl.DataFrame
    split: str
    metric: str
    warnings: tuple[str, ...]
    charts: tuple[Chart, ...]

    @property
    def headline(self) -> pl.DataFrame:
        """Return the columns that fit a terminal: the compared split's figures and the cost."""
        groups = _columns(self.split, self.metric)
        chosen = [column.name for words in (self.split, "cost") for column in groups[words]]
        return self.table.select(
            [name for name in ("run", "backbone", *chosen) if name in self.table.columns]
        )


def compare_runs(runs: Sequence[RunDirectory], split: str = "val") -> Comparison:
    """Return the comparison of runs that were evaluated on a split.

    Figures on train come from its evaluation, or else from the last epoch logged. Runs with
    other classes, pictures or labels are compared all the same, and warned of.

    Raises:
        RunError: If there are no runs, a run is given twice, or one was not evaluated on the
            split.
    """
    if not runs:
        raise RunError("there are no runs to compare; give at least one run folder")
    places = [run.root.resolve() for run in runs]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise RunError(f"run {twice} is given twice; name each run once")
    for run in runs:
        if split not in run.evaluated_splits:
            read_record(run, splits=[split])  # raises, naming the evaluated ones
    records = [read_record(run) for run in runs]
    names = _names(places)
    rows = [_row(name, record, split) for name, record in zip(names, records, strict=True)]
    table = pl.DataFrame(rows, infer_schema_length=None)
    table = table.select([column for column in table if column.null_count() < len(rows)])
    metric = records[0].main_metric
    return Comparison(
        table=table,
        split=split,
        metric=metric,
        warnings=tuple(find_differences(names, records, split)),
        charts=tuple(_charts(names, records, split, metric)),
    )


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Return the path of ``comparison.html``, written to a folder with ``comparison.csv``."""
    page = folder / "comparison.html"
    write_text_atomic(folder / "comparison.csv", comparison.table.write_csv())
    write_text_atomic(page, render_page("comparison.html.jinja", comparison_context(comparison)))
    return page


def comparison_context(comparison: Comparison) -> dict[str, Any]:
    """Return everything that the comparison's template shows."""
    groups = {
        words: [column for column in columns if column.name in comparison.table.columns]
        for words, columns in _columns(comparison.split, comparison.metric).items()
    }
    groups = {words: columns for words, columns in groups.items() if columns}
    columns = [column for of_group in groups.values() for column in of_group]
    best = {column.name: _best(comparison.table, column.name) for column in columns}
    rows = [
        {"run": row["run"], "backbone": row["backbone"], "cells": [
            {"value": row[column.name], "text": column.tell(row[column.name]),
             "is_best": row[column.name] is not None and row[column.name] == best[column.name],
             "interval": _told_interval(row, column.name)}
            for column in columns
        ]}
        for row in comparison.table.iter_rows(named=True)
    ]  # fmt: skip
    return {
        "split": comparison.split,
        "words": METRIC_WORDS[comparison.metric],
        "warnings": comparison.warnings,
        "charts": comparison.charts,
        "groups": [(words, len(of_group)) for words, of_group in groups.items()],
        "headings": [column.words for column in columns],
        "rows": rows,
    }


@dataclass(frozen=True)
class _Column:
    name: str
    words: str
    tell: Callable[[float | None], str]


def _columns(split: str, metric: str) -> dict[str, list[_Column]]:
    """Return the page's columns by group: the compared split, the other splits, the cost."""
    groups = {
        of_split: [
            _Column(f"{of_split}_{name.replace('.', '_')}", METRIC_WORDS[name], percent)
            for name in _SHOWN[metric]
        ]
        for of_split in dict.fromkeys([split, "test", "val", "train"])
    }
    return groups | {"cost": [_Column(name, *told) for name, told in _FACTS.items()]}


def _row(name: str, record: RunRecord, split: str) -> dict[str, Any]:
    row: dict[str, Any] = {"run": name, "backbone": record.model.get("backbone")}
    for of_split in dict.fromkeys([split, "train", "val", "test"]):
        metrics = record.metrics.get(of_split, {})
        for metric in METRIC_WORDS:
            column = f"{of_split}_{metric.replace('.', '_')}"
            value = metric_of(metrics, metric)
            if value is None and of_split == "train":
                value = record.history.of("train", metric.replace(".", "_")).last
            row[column] = value
            if of_split == split:
                row[f"{column}_low"], row[f"{column}_high"] = (
                    interval_of(metrics, metric) or (None,) * 2
                )
    seconds = record.summary.get("seconds_per_picture")
    return row | {
        "epochs": record.history.num_epochs,
        "parameters": record.summary.get("num_parameters"),
        "trained_parameters": record.summary.get("num_trainable_parameters"),
        "training_minutes": record.summary.get("training_minutes"),
        "training_pictures_per_second": record.summary.get("samples_per_second"),
        "scoring_pictures_per_second": 1 / seconds if seconds else None,
    }


def _charts(
    names: Sequence[str], records: Sequence[RunRecord], split: str, metric: str
) -> list[Chart]:
    words = METRIC_WORDS[metric]
    values = [metric_of(record.metrics[split], metric) for record in records]
    intervals = [interval_of(record.metrics[split], metric) for record in records]
    figures = [
        (name, value, interval)
        for name, value, interval in zip(names, values, intervals, strict=True)
        if value is not None
    ]
    curves = {}
    for name, record in zip(names, records, strict=True):
        series = record.history.of("val", metric)
        if series:
            curves[name] = Line(series.epochs, [1 - value for value in series.values])
    charts = [intervals_chart(figures, title=f"{split.capitalize()} {words}")] if figures else []
    return (
        [*charts, runs_chart(curves, title=f"Validation error (1 − {words})")] if curves else charts
    )


def _best(table: pl.DataFrame, column: str) -> float | None:
    values = table[column].drop_nulls()
    # the highest figure on training pictures is no merit
    if values.n_unique() < 2 or column.startswith("train_"):
        return None
    return values.min() if column in _FEWER_IS_BETTER else values.max()  # pyright: ignore


def _told_interval(row: dict[str, Any], column: str) -> str:
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def _names(places: Sequence[Path]) -> list[str]:
    """Return the folders' names, or their paths where two are the same."""
    names = [place.name for place in places]
    return [
        name if names.count(name) == 1 else str(place)
        for name, place in zip(names, places, strict=True)
    ]
