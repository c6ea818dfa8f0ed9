"""The audit as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from finelens.cli.display import CONSOLE
from finelens.cli.tables import print_table
from finelens.data.audit import Audit
from finelens.data.media import counted
from finelens.errors import typed

_SHOWN = 3


def print_audit(audit: Audit, data: Path) -> None:
    """Print the classes, what was found wrong, and what to type next."""
    print_table(audit.counts)
    for line in audit_lines(audit):
        CONSOLE.print(line, markup=False, soft_wrap=True)
    for line in verdict_lines(audit, data):
        CONSOLE.print(line, markup=False, soft_wrap=True)


def verdict_lines(audit: Audit, data: Path) -> Iterator[str]:
    """Return what the findings come to, and the command that comes next."""
    command = f"finelens train --data {typed(data)}"
    if not audit.is_clean:
        yield f"mend first: {', '.join(_to_mend(audit))}"
        yield f"then: {command}"
        return
    doubts = list(_doubts(audit))
    but = f", but see {' and '.join(doubts)}" if doubts else ""
    yield f"nothing stands against training{but}"
    if _may_be_parted(audit):
        yield (
            f"{audit.media} that are the same or nearly so may come to lie in train and in test; "
            "one value of a table's column group keeps them together"
        )
    yield f"next: {command}"


def _to_mend(audit: Audit) -> Iterator[str]:
    yield from ["unreadable files"] * bool(audit.unreadable)
    yield from ["classes without training examples"] * bool(audit.empty_classes)
    yield from [f"{audit.media} that lie in two splits"] * bool(audit.leaks)
    yield from ["groups in two splits"] * bool(audit.group_leaks)
    yield from [f"equal {audit.media} with other labels"] * bool(audit.contradictions)


def _doubts(audit: Audit) -> Iterator[str]:
    yield from ["what is there twice"] * bool(audit.duplicates)
    yield from ["what looks alike"] * bool(audit.near_duplicates)
    yield from ["the imbalance"] * audit.is_imbalanced


def _may_be_parted(audit: Audit) -> bool:
    # where a split is missing training cuts it, and keeps groups whole
    if not {"val", "test"} - set(audit.splits):
        return False
    group_of = dict(audit.files.select("id", "group").iter_rows())
    groups = [{group_of[name] for name in ids} for ids in audit.duplicates + audit.near_duplicates]
    return any(None in found or len(found) > 1 for found in groups)


def audit_lines(audit: Audit) -> Iterator[str]:
    """Return the findings, one a line, each with its first examples."""
    splits = ", ".join(f"{count} {name}" for name, count in audit.splits.items())
    one = audit.media.removesuffix("s")
    told = counted(audit.num_examples, audit.media)
    yield f"{told} ({splits or 'no splits given: train makes them'})"
    if not audit.clips.is_empty():
        yield from _clip_lines(audit.clips)
    if audit.unseen_note is not None:
        yield audit.unseen_note
    if audit.num_animated:
        yield f"animated, of which the first frame alone is seen: {audit.num_animated}"
    if audit.is_imbalanced:
        yield _imbalance_line(audit)
    yield from _found(f"class without training {audit.media}", audit.empty_classes)
    if audit.num_unlabelled:
        yield f"without labels: {audit.num_unlabelled}"
    if audit.num_ignored:
        yield f"with a difficult class, which counts neither way: {audit.num_ignored}"
    yield from _found("unreadable", _told(audit.unreadable))
    notes = dict(audit.clips.drop_nulls("note").select("id", "note").iter_rows())
    yield from _found("not whole, used as far as they can be read", _told(notes))
    same = "same file" if audit.media == "pictures" else "same frames"
    yield from _found(f"{same} twice", _joined(audit.duplicates))
    yield from _found("look alike", _joined(audit.near_duplicates))
    yield from _found(f"the same {one} in two splits (leakage)", _joined(audit.leaks))
    groups = {group: " and ".join(splits) for group, splits in audit.group_leaks.items()}
    yield from _found("group in two splits (leakage)", _told(groups))
    yield from _found(f"same {one}, other labels", _joined(audit.contradictions))
    yield from _group_lines(audit)


def _imbalance_line(audit: Audit) -> str:
    return (
        f"imbalance: the most frequent class has {audit.imbalance:.1f} x the rarest's "
        f"{audit.media}, so that rare classes count for little in training and in accuracy; weigh "
        "them with --set loss.class_weights=balanced, and judge by macro F1"
    )


def _clip_lines(clips: pl.DataFrame) -> Iterator[str]:
    sizes = clips.group_by("width", "height").len().sort("len", "width", descending=True)
    told = [f"{width} x {height} ({count})" for width, height, count in sizes.iter_rows()]
    if len(told) == 1:
        told = [told[0].partition(" (")[0]]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    yield f"pixels: {', '.join(told[:_SHOWN])}{more}"
    seconds = clips["duration_s"].drop_nulls()
    if not seconds.is_empty():
        yield f"seconds a clip: {_range(seconds, '.1f')}"
    yield (
        f"frames a clip: {_range(clips['num_frames'], '.0f')}; "
        "where a recipe takes more (input.frames), a clip's last frame is repeated"
    )


def _group_lines(audit: Audit) -> Iterator[str]:
    if audit.groups:
        origin = f", from {audit.group_origin}" if audit.group_origin else ""
        sizes = _range(pl.Series(audit.groups.values()), ".0f")
        yield f"groups: {len(audit.groups)}{origin}; {audit.media} a group: {sizes}"
    if audit.group_note is not None:
        yield f"groups: {audit.group_note}"
    elif audit.media == "clips" and not audit.groups:
        yield "groups: none; the clips are divided as the data says"


def _range(values: pl.Series, form: str) -> str:
    quantiles = np.quantile(values.to_numpy(), [0, 0.5, 1])
    lowest, middle, highest = (format(value, form) for value in quantiles)
    return lowest if lowest == highest else f"{lowest} to {highest}, median {middle}"


def _found(title: str, findings: Sequence[str]) -> Iterator[str]:
    if findings:
        yield f"{title}: {len(findings)}"
        yield from (f"  {finding}" for finding in findings[:_SHOWN])
        if len(findings) > _SHOWN:
            yield f"  and {len(findings) - _SHOWN} more; all of them: --problems FILE.csv"


def _joined(sets: Iterable[Sequence[str]]) -> list[str]:
    return [" = ".join(ids) for ids in sets]


def _told(reasons: Mapping[str, str]) -> list[str]:
    return [f"{name}: {reason}" for name, reason in reasons.items()]
