"""The problems: everything an audit found wrong with files, one row a file, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from finelens.data.audit import Audit

SCHEMA = {"problem": pl.String, "path": pl.String, "detail": pl.String, "other": pl.String}

_Row = tuple[str, str, str | None, str | None]


def problem_table(audit: Audit) -> pl.DataFrame:
    """Return one row for each problem of a file.

    Columns: ``problem``, one of unreadable, not whole, duplicate, near-duplicate, leak, group leak
    and other labels; ``path``, absolute, with ``#start-end`` where it is a part of a video;
    ``detail``, words; ``other``, the path of the file that it is held against, the first of its
    set. Leaving out the paths of the rows duplicate leaves one of each.
    """
    return pl.DataFrame([*_rows(audit)], schema=SCHEMA, orient="row")


def _rows(audit: Audit) -> Iterator[_Row]:
    path_of = {name: _place(name, path) for name, path in audit.files.select("id", "path").rows()}
    split_of = dict(audit.files.select("id", "split").rows())
    labels_of = dict(audit.files.select("id", "labels").rows())
    notes = audit.clips.drop_nulls("note").select("id", "note").rows()
    for problem, told in (("unreadable", audit.unreadable.items()), ("not whole", notes)):
        yield from ((problem, path_of[name], why, None) for name, why in told)
    same = "the same file" if audit.media == "pictures" else "the same frames"
    for problem, sets, detail in (
        ("duplicate", audit.duplicates, same),
        ("near-duplicate", audit.near_duplicates, "looks alike"),
    ):
        for first, *others in sets:
            yield from ((problem, path_of[name], detail, path_of[first]) for name in others)
    for first, name in _apart(audit.leaks, split_of):
        detail = f"{split_of[name]}, the other {split_of[first]}"
        yield "leak", path_of[name], detail, path_of[first]
    for group, splits in audit.group_leaks.items():
        detail = f"group {group} is in {' and '.join(splits)}"
        for name in audit.files.filter(pl.col("group") == group)["id"]:
            yield "group leak", path_of[name], detail, None
    for first, name in _apart(audit.contradictions, labels_of):
        told = [", ".join(labels_of[one] or ["none"]) for one in (name, first)]
        yield "other labels", path_of[name], f"{told[0]}, the other {told[1]}", path_of[first]


def _apart(
    sets: Sequence[Sequence[str]], value_of: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Return of each set the first, and each that differs from it, where both are known."""
    for names in sets:
        first, *others = (name for name in names if value_of[name] is not None)
        yield from ((first, name) for name in others if value_of[name] != value_of[first])


def _place(name: str, path: str) -> str:
    """Return an example's path; parts of one video are told apart as in their ids."""
    base, mark, span = name.rpartition("#")
    return f"{path}#{span}" if mark and path.endswith(base) else path
