"""The album: each split's best-ranked examples and worst mistakes, and the unreadable files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from finelens.data.example import Span
from finelens.evaluation.ranking import worst_mistakes
from finelens.reporting.evidence import Evidence
from finelens.reporting.gallery import Gallery, Shown, by_rank
from finelens.reporting.record import RunRecord
from finelens.reporting.thumbnail import Strip

MOST_MISTAKES = 24
MOST_MISTAKES_A_CLASS = 12
MOST_FILES = 200
MISTAKES_BYTES = 1_000_000
TOP_BYTES = 5_000_000
_BUDGETS = {"wrong": MISTAKES_BYTES, "missed": MISTAKES_BYTES, "top": TOP_BYTES}


def album_context(record: RunRecord, evidence: Mapping[str, Evidence]) -> dict[str, Any]:
    """Return the gallery's data and words, and the files that could not be read.

    Pictures are those of every evaluated split but train, of train where it is all there is.
    The splits share the page's room evenly, and the one shown first takes what others leave.
    """
    splits = [split for split in evidence if split != "train" or split == record.shown_split]
    wanted = {split: _lists(evidence[split]) for split in splits}
    seen = record.preprocessing
    strip = Strip.of_model(
        seen.get("frames"), stride=seen.get("stride"), start=seen.get("start") or 0
    )
    gallery = Gallery(strip)
    rows = {
        kind: _add(gallery, {split: wanted[split][kind] for split in splits}, budget_bytes=budget)
        for kind, budget in _BUDGETS.items()
    }
    files = _unreadable(record, evidence[record.shown_split])
    return {
        "gallery": rows | {"pictures": gallery.content(), "most_mistakes": MOST_MISTAKES},
        "gallery_splits": splits,
        "gallery_lead": _gallery_lead(record, wanted, rows["top"]),
        **_strip_words(strip, is_middle_seen=seen.get("resize", "shorter") == "shorter"),
        "bad_files": files[:MOST_FILES],
        "bad_files_lead": f"{len(files)} in all; the first {MOST_FILES} are listed."
        if len(files) > MOST_FILES
        else "They have no scores; nothing was put in their place.",
        **_torn_files(record),
    }


def _lists(evidence: Evidence) -> dict[str, list[Shown]]:
    """Return a split's lists of pictures by kind."""
    scores = evidence.scores
    mistakes = worst_mistakes(scores, evidence.decision, n=max(scores.num_examples, 1))
    spans = evidence.spans()
    wrong, missed = (
        [
            _mistake(row, span=spans[row["id"]], is_multi_label=scores.task.is_multi_label)
            for row in _worst(rows)
        ]
        for rows in (mistakes.filter(~pl.col("is_positive")), mistakes.filter("is_positive"))
    )
    return {"wrong": wrong, "missed": missed, "top": _top(evidence)}


def _add(
    gallery: Gallery, wanted: Mapping[str, Sequence[Shown]], *, budget_bytes: int
) -> dict[str, list[dict[str, Any]]]:
    """Return each split's rows; the first split comes last to the room, and has what is left."""
    rows = {}
    for place, split in reversed([*enumerate(wanted, start=1)]):
        before = gallery.num_bytes
        rows[split] = gallery.add(wanted[split], budget_bytes=budget_bytes // place)
        budget_bytes -= gallery.num_bytes - before
    return {split: rows[split] for split in wanted}


def _top(evidence: Evidence) -> list[Shown]:
    decided, spans = evidence.decided(), evidence.spans()
    lists = [
        [
            Shown(
                row["path"],
                row["id"],
                row["class"],
                row["probability"],
                row["is_positive"],
                is_decided=(row["id"], row["class"]) in decided,
                span=spans[row["id"]],
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


def _mistake(row: Mapping[str, Any], *, span: Span, is_multi_label: bool) -> Shown:
    labels, decided = (", ".join(row[name]) or "nothing" for name in ("labels", "decided"))
    # in multi-class a mistake also concerns the class that was not recognised
    about = (row["class"],) if is_multi_label else (row["class"], *row["labels"])
    note = f"recognised: {decided}" if row["is_positive"] else f"is: {labels}"
    return Shown(
        row["path"], row["id"], row["class"], row["probability"], row["is_positive"],
        about=about, note=note, span=span,
    )  # fmt: skip


def _gallery_lead(
    record: RunRecord,
    wanted: Mapping[str, Mapping[str, Sequence[Shown]]],
    top: Mapping[str, Sequence[object]],
) -> str:
    of_split = f"{record.shown_split} " if len(top) == 1 else ""
    lead = f"The {of_split}{record.noun}s of the highest probability of each class, 50 at most."
    cut = {
        split: len(rows) // record.task.num_classes
        for split, rows in top.items()
        if len(rows) < len(wanted[split]["top"])
    }
    if not cut:
        return lead
    told = " and ".join(f"the first {a_class} of {split}" for split, a_class in cut.items())
    return f"{lead} To keep this file small, {told} are shown; top50.parquet has all."


def _strip_words(strip: Strip | None, *, is_middle_seen: bool) -> dict[str, Any]:
    """Return what the page says of strips of frames, and how many each has."""
    if strip is None:
        return {"strip_words": "", "strip_frames": None}
    frames = "one frame" if strip.frames == 1 else f"{strip.frames} frames in the order of time"
    seen = " Of each the model sees only the middle square." if is_middle_seen else ""
    return {
        "strip_words": f"A strip holds {frames}, spread over those that the model sees of a clip, "
        f"and shows them whole.{seen} Choose it to enlarge it. ",
        "strip_frames": strip.frames,
    }


def _torn_files(record: RunRecord) -> dict[str, Any]:
    notes = record.environment.get("notes") or {}
    lead = "They took part with the frames that could be read."
    if len(notes) > MOST_FILES:
        lead = f"{lead} {len(notes)} in all; the first {MOST_FILES} are listed."
    return {"torn_files": sorted(notes.items())[:MOST_FILES], "torn_files_lead": lead}


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
