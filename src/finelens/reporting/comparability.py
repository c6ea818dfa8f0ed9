"""Comparability: what keeps runs from being judged by the same measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from finelens.evaluation.scores import Scores
from finelens.reporting.record import RunRecord
from finelens.reporting.shared_names import Named, find_namesakes

_MACHINE = {
    "device": "on different devices",
    "num_threads": "with different numbers of threads",
    "precision": "in different precision",
}
"""Facts of ``environment.json`` that change how long training takes."""


@dataclass(frozen=True)
class _Judged:
    name: str
    record: RunRecord
    table: pl.DataFrame
    renamed: tuple[str, str] | None


def find_differences(
    names: Sequence[str], records: Sequence[RunRecord], named: Sequence[Named], split: str
) -> list[str]:
    """Return a sentence for every run that is not judged, or not timed, as the first one is.

    The gravest difference in judging alone is told: another kind of task, other classes, other
    pictures of the split (by their names), other labels, or data that differ elsewhere.
    """
    first, *others = (
        _Judged(name, record, _table(of_run.scores), of_run.renamed)
        for name, record, of_run in zip(names, records, named, strict=True)
    )
    judged = [(other, _difference(first, other, split)) for other in others]
    timed = [
        (other, _timing(first.record.environment, other.record.environment)) for other in others
    ]
    return [f"{other.name} and {first.name} {what}." for other, what in judged + timed if what]


def _table(scores: Scores) -> pl.DataFrame:
    ids = pl.Series(scores.ids, dtype=pl.String)
    return pl.DataFrame({"id": ids, "targets": pl.Series(scores.targets_NK)})


def _timing(environment: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return what parts two runs' times; facts that a run does not know are passed over."""
    apart = [
        f"{words} ({other[key]} and {environment[key]})"
        for key, words in _MACHINE.items()
        if None not in (known := (environment.get(key), other.get(key))) and len(set(known)) == 2
    ]
    if not apart:
        return ""
    return f"were trained {' and '.join(apart)}: their times do not compare"


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
    noun = first.record.noun
    ids, other_ids = set(first.table["id"]), set(other.table["id"])
    if ids != other_ids:
        return (
            f"were evaluated on different {split} {noun}s ({len(other_ids)} and {len(ids)}, "
            f"{len(ids & other_ids)} in both): differences may come from the {noun}s"
            f"{_namesakes(first, other)}"
        )
    changed = _num_changed(first.table, other.table)
    if changed:
        return f"were judged by different labels on {changed} of {len(ids)} {split} {noun}s"
    key = "manifest_sha256"
    if first.record.environment.get(key) == other.record.environment.get(key):
        return ""
    if other.renamed is None:
        return (
            f"were judged on the same {split} {noun}s, but their data differ elsewhere: other "
            f"training {noun}s, labels or splits"
        )
    return (
        f"call the same {split} {noun}s by different names ({_quoted(other.renamed)}), which were "
        f"matched by where the files lie; whether both were trained on the same {noun}s is not "
        "known"
    )


def _namesakes(first: _Judged, other: _Judged) -> str:
    """Return what is told of names of which one ends in the other, where none is shared."""
    ids, other_ids = first.table["id"].to_list(), other.table["id"].to_list()
    pairs = [] if set(ids) & set(other_ids) else find_namesakes(other_ids, ids)
    if not pairs:
        return ""
    return (
        f"; {len(pairs)} names differ in their folders alone ({_quoted(pairs[0])}): where these "
        "are the same files, evaluate both runs with one --data"
    )


def _quoted(pair: tuple[str, str]) -> str:
    return '"{}" and "{}"'.format(*pair)


def _num_changed(table: pl.DataFrame, other: pl.DataFrame) -> int:
    joined = table.join(other, on="id", suffix="_other")
    return joined.filter(pl.col("targets").ne_missing(pl.col("targets_other"))).height
