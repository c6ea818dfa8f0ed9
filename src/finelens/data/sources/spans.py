"""Spans: several clips cut from one recording, by seconds or by frames."""

from __future__ import annotations

import polars as pl

from finelens.data.media import is_video
from finelens.errors import DataError

CUT_FROM = "the files that several clips are cut from"
"""What the groups of ``group_spans`` were taken from."""

_FRAMES = r"#\d+-\d+$"


def check_spans(table: pl.DataFrame, *, where: str) -> None:
    """Raise where ``start_s`` and ``end_s`` select nothing, or are not of a video.

    Raises:
        DataError: Naming the first such row by its id and the mend.
    """
    start, end = pl.col("start_s"), pl.col("end_s")
    spans = table.filter(start.is_not_null() | end.is_not_null())
    empty = spans.filter((start < 0) | (end <= pl.max_horizontal(start.fill_null(0.0), 0.0)))
    if not empty.is_empty():
        first = empty.row(0, named=True)
        raise DataError(
            f'{where}: "{first["id"]}" starts at {first["start_s"]} s and ends at '
            f"{first['end_s']} s; give 0 <= start_s < end_s"
        )
    others = spans.filter(~is_video("path"))
    if not others.is_empty():
        raise DataError(
            f'{where}: "{others["id"][0]}" has start_s or end_s, and is no video '
            f"({others.height} such rows); leave them empty"
        )


def name_spans(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with ``#start-end`` at the end of the id of each row with a span."""
    start, end = (pl.col(name).cast(pl.String).fill_null("") for name in ("start_s", "end_s"))
    has_span = pl.col("start_s").is_not_null() | pl.col("end_s").is_not_null()
    named = pl.concat_str("id", pl.lit("#"), start, pl.lit("-"), end)
    return table.with_columns(id=pl.when(has_span).then(named).otherwise("id"))


def group_spans(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with a group for the ungrouped clips that are cut from one recording.

    Clips of one video or of one folder of frames look alike: the file is their group, so that
    no division puts one of them into train and another into test.
    """
    recording = pl.col("path").str.replace(_FRAMES, "")
    is_cut = recording.is_duplicated() & pl.col("group").is_null()
    name = pl.col("id").str.replace(_FRAMES, "")
    return table.with_columns(group=pl.when(is_cut).then(name).otherwise("group"))
