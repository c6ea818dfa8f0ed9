"""Comparability: what keeps runs from being judged by the same measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from finelens.evaluation.scores import read_table
from finelens.reporting.record import RunRecord


@dataclass(frozen=True)
class _Judged:
    name: str
    record: RunRecord
    table: pl.DataFrame


def find_differences(names: Sequence[str], records: Sequence[RunRecord], split: str) -> list[str]:
    """Return a sentence for every run that is not judged as the first one is.

    The gravest difference alone is told: another kind of task, other classes, other pictures
    of the split (by their ids), other labels, or data that differ elsewhere.

    Raises:
        RunError: If a run's scores of the split are missing or broken.
    """
    first, *others = (
        _Judged(name, record, _read(record, split))
        for name, record in zip(names, records, strict=True)
    )
    found = [(other, _difference(first, other, split)) for other in others]
    return [f"{other.name} and {first.name} {what}." for other, what in found if what]


def _read(record: RunRecord, split: str) -> pl.DataFrame:
    return read_table(record.run.evaluation(split) / "scores.parquet", ("id", "targets"))


def _difference(first: _Judged, other: _Judged, split: str) -> str:
    task, other_task = first.record.task, other.record.task
    if task.kind != other_task.kind:
        return (
            f"are different tasks ({other_task.kind} and {task.kind}): their figures do not mean "
            "the same"
        )
    if task.classes != other_task.classes:
        odd = sorted(set(task.classes) ^ set(other_task.classes))
        what = f"{len(odd)} not in both: {', '.join(odd[:5])}" if odd else "in another order"
        return f"have different classes ({what}): their figures do not mean the same"
    ids, other_ids = set(first.table["id"]), set(other.table["id"])
    if ids != other_ids:
        return (
            f"were evaluated on different {split} pictures ({len(other_ids)} and {len(ids)}, "
            f"{len(ids & other_ids)} in both): differences may come from the pictures"
        )
    changed = _num_changed(first.table, other.table)
    if changed:
        return f"were judged by different labels on {changed} of {len(ids)} {split} pictures"
    key = "manifest_sha256"
    if first.record.environment.get(key) != other.record.environment.get(key):
        return (
            f"were judged on the same {split} pictures, but their data differ elsewhere: other "
            "training pictures, labels or splits"
        )
    return ""


def _num_changed(table: pl.DataFrame, other: pl.DataFrame) -> int:
    joined = table.join(other, on="id", suffix="_other")
    return joined.filter(pl.col("targets").ne_missing(pl.col("targets_other"))).height
