"""Groups: the recordings that clips come from, which no division may cut."""

from __future__ import annotations

import polars as pl

from finelens.data.manifest import SPLITS, Manifest


def missing_group_note(manifest: Manifest) -> str | None:
    """Return what a person should know where clips without a group are to be divided, or None.

    Clips of one recording look alike. Where nothing says which belong together they are divided
    one by one, and the test figures are then better than on a new recording. Nothing is said of
    pictures, nor where the data itself gives every labelled clip a train, val or test split.

    Args:
        manifest: As its source gives it, before missing splits are cut.
    """
    if manifest.media == "pictures":
        return None
    splits = manifest.splits
    is_divided = pl.col("split").is_null() & pl.col("labels").is_not_null()
    if any(split not in splits for split in SPLITS):
        is_divided |= pl.col("split") == "train"
    num_alone = manifest.table.filter(is_divided & pl.col("group").is_null()).height
    if not num_alone:
        return None
    return (
        f"{num_alone} of {manifest.num_examples} clips have no group: clips of one recording may "
        "lie in train and in test, and the figures are then too good; say in a table's column "
        "group which recording each clip is from"
    )
