"""The comparison's table: one row a run, and which of its columns a page shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from finelens.reporting.convergence import find_convergence
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.reporting.page import count, number, percent
from finelens.reporting.record import METRIC_WORDS, RunRecord, interval_of, metric_of


@dataclass(frozen=True)
class Column:
    """A column as a page shows it.

    Attributes:
        name: In the table.
        words: Its heading.
        tell: From a value to its text.
        best: ``max`` or ``min`` where that value is a merit, else None.
    """

    name: str
    words: str
    tell: Callable[[float | None], str]
    best: str | None = None


def _facts(noun: str) -> list[Column]:
    return [
        Column("training_minutes", "training minutes", lambda value: number(value, 1), "min"),
        Column(
            "scoring_ms_per_picture", f"scoring ms/{noun}", lambda value: number(value, 1), "min"
        ),
        Column("parameters", "parameters", count, "min"),
        Column("trained_parameters", "trained parameters", count, "min"),
        Column("epochs", "epochs", count),
        Column("epochs_to_convergence", "epochs to convergence", count),
        Column("iterations_to_convergence", "iterations to convergence", count),
        Column(
            "training_pictures_per_second", f"training {noun}s/s", lambda value: number(value, 0)
        ),
    ]


def shown_columns(split: str, metric: str, noun: str = "picture") -> dict[str, list[Column]]:
    """Return a page's columns by group: the compared split, the other splits, the cost.

    Args:
        split: The compared one.
        metric: The main one.
        noun: What the runs' examples are called.
    """
    groups, metrics = {}, METRIC_SETS[metric]
    for of_split in dict.fromkeys([split, "test", "val", "train"]):
        # the highest figure on training pictures is no merit
        best = None if of_split == "train" else "max"
        shown = metrics.shown if of_split == split else metrics.shown_beside
        groups[of_split] = [
            Column(column_of(of_split, name), METRIC_WORDS[name], percent, best) for name in shown
        ]
    return groups | {"cost": _facts(noun)}


def column_of(split: str, metric: str) -> str:
    """Return the name of the table's column of a metric on a split."""
    return f"{split}_{metric.replace('.', '_')}"


def comparison_table(
    names: Sequence[str], records: Sequence[RunRecord], split: str
) -> pl.DataFrame:
    """Return one row a run; columns that no run fills are left out."""
    rows = [_row(name, record, split) for name, record in zip(names, records, strict=True)]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.select([column for column in table if column.null_count() < len(rows)])


def is_measured_while_training(record: RunRecord) -> bool:
    """Return whether a run's figures on train are those of its log, not of an evaluation."""
    return "train" not in record.metrics and any(
        _logged(record, metric) is not None for metric in METRIC_WORDS
    )


def _row(name: str, record: RunRecord, split: str) -> dict[str, Any]:
    row: dict[str, Any] = {"run": name, "backbone": record.model.get("backbone")}
    for of_split in dict.fromkeys([split, "train", "val", "test"]):
        metrics = record.metrics.get(of_split, {})
        for metric in METRIC_WORDS:
            column = column_of(of_split, metric)
            value = metric_of(metrics, metric)
            if of_split == "train" and "train" not in record.metrics:
                value = _logged(record, metric)
            row[column] = value
            if of_split == split:
                row[f"{column}_low"], row[f"{column}_high"] = (
                    interval_of(metrics, metric) or (None,) * 2
                )
    return row | _cost(record)


def _cost(record: RunRecord) -> dict[str, Any]:
    summary = record.summary
    seconds = summary.get("seconds_per_picture")
    convergence = find_convergence(record)
    return {
        "epochs": record.history.num_epochs,
        "epochs_to_convergence": convergence.epoch if convergence else None,
        "iterations_to_convergence": convergence.iterations if convergence else None,
        "parameters": summary.get("num_parameters"),
        "trained_parameters": summary.get("num_trainable_parameters"),
        "training_minutes": summary.get("training_minutes"),
        "training_pictures_per_second": summary.get("samples_per_second"),
        "scoring_pictures_per_second": 1 / seconds if seconds else None,
        "scoring_ms_per_picture": 1000 * seconds if seconds else None,
    }


def _logged(record: RunRecord, metric: str) -> float | None:
    """Return a train figure of the epoch whose weights were kept, else of the last one.

    None where the kept weights are the probe's, of which no training was measured.
    """
    return record.history.of("train", metric.replace(".", "_")).at(record.kept_epoch)
