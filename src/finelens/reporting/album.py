"""The album: a split's best-ranked pictures, its worst mistakes and its unreadable files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from finelens.evaluation.ranking import worst_mistakes
from finelens.reporting.evidence import Evidence
from finelens.reporting.gallery import Gallery, Shown, by_rank
from finelens.reporting.record import RunRecord

MOST_MISTAKES = 24
MOST_MISTAKES_A_CLASS = 12
MOST_FILES = 200
MISTAKES_BYTES = 1_000_000
TOP_BYTES = 5_000_000


def album_context(record: RunRecord, evidence: Evidence) -> dict[str, Any]:
    """Return the gallery's data and words, and the files that could not be read."""
    gallery = Gallery()
    mistakes = worst_mistakes(
        evidence.scores, evidence.decision, n=max(evidence.scores.num_examples, 1)
    )
    wrong, missed = (
        [_mistake(row, is_multi_label=record.task.is_multi_label) for row in _worst(rows)]
        for rows in (mistakes.filter(~pl.col("is_positive")), mistakes.filter("is_positive"))
    )
    top = list(_top(evidence))
    rows = {
        "wrong": gallery.add(wrong, budget_bytes=MISTAKES_BYTES),
        "missed": gallery.add(missed, budget_bytes=MISTAKES_BYTES),
        "top": gallery.add(top, budget_bytes=TOP_BYTES),
    }
    content = rows | {"pictures": gallery.content(), "most_mistakes": MOST_MISTAKES}
    files = _unreadable(record, evidence)
    return {
        "gallery": content,
        "gallery_lead": _gallery_lead(record, shown=len(rows["top"]), ranked=len(top)),
        "bad_files": files[:MOST_FILES],
        "bad_files_lead": f"{len(files)} in all; the first {MOST_FILES} are listed."
        if len(files) > MOST_FILES
        else "They have no scores; nothing was put in their place.",
    }


def _top(evidence: Evidence) -> Iterable[Shown]:
    decided = evidence.decided()
    lists = [
        [
            Shown(
                row["path"],
                row["id"],
                row["class"],
                row["probability"],
                row["is_positive"],
                is_decided=(row["id"], row["class"]) in decided,
            )
            for row in of_class.iter_rows(named=True)
        ]
        for of_class in evidence.evaluation.top.partition_by("class", maintain_order=True)
    ]
    return by_rank(lists)


def _worst(mistakes: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the worst of all classes together and the worst of each, the worst first."""
    within = pl.int_range(pl.len()).over("class") < MOST_MISTAKES_A_CLASS
    overall = pl.int_range(pl.len()) < MOST_MISTAKES
    return mistakes.filter(within | overall).to_dicts()


def _mistake(row: Mapping[str, Any], *, is_multi_label: bool) -> Shown:
    labels, decided = (", ".join(row[name]) or "nothing" for name in ("labels", "decided"))
    # in multi-class a mistake also concerns the class that was not recognised
    about = (row["class"],) if is_multi_label else (row["class"], *row["labels"])
    note = f"recognised: {decided}" if row["is_positive"] else f"is: {labels}"
    return Shown(
        row["path"], row["id"], row["class"], row["probability"], row["is_positive"],
        about=about, note=note,
    )  # fmt: skip


def _gallery_lead(record: RunRecord, *, shown: int, ranked: int) -> str:
    lead = (
        f"The {record.shown_split} pictures of the highest probability of each class, 50 at most."
    )
    if shown == ranked:
        return lead
    a_class = shown // record.task.num_classes
    return f"{lead} To keep this file small, the first {a_class} are shown; top50.parquet has all."


def _unreadable(record: RunRecord, evidence: Evidence) -> Sequence[tuple[str, str]]:
    scores = evidence.scores
    left_out = record.summary.get("bad_files") or {}
    scored = {
        example: error.removeprefix(f"{path}: ")
        for example, path, error in zip(scores.ids, scores.paths, scores.errors, strict=True)
        if error is not None
    }
    told = {path: reason.removeprefix(f"{path}: ") for path, reason in left_out.items()}
    return sorted((told | scored).items())
