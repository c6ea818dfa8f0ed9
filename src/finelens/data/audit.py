"""The audit: what is wrong with the data, found before any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from finelens.data.fingerprints import near_pairs, take_fingerprints
from finelens.data.groups import missing_group_note
from finelens.data.manifest import SPLITS, Manifest
from finelens.data.media import Medium, count_animated
from finelens.data.verify import Verification

IMBALANCED = 5.0
"""From here on the most frequent class rules training: so many times the rarest's pictures."""

# frames of one room look alike where nothing but a person moves
_MOST_DIFFERENCE = {"pictures": 6.0, "clips": 2.0}


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found; sets of pictures are tuples of sorted ids, in the order of the first.

    Attributes:
        media: What the data holds; what is said of pictures below is meant of clips too.
        num_examples: Pictures looked at, N.
        counts: One row a class, in class order: ``class``, then the pictures that hold it in
            ``train``, ``val``, ``test`` and in ``none`` of these.
        splits: Pictures of each split there is.
        num_unlabelled: Pictures whose labels are unknown.
        num_ignored: Pictures with a class that counts neither way.
        imbalance: Training pictures of the most frequent class over those of the rarest, at
            least 1; infinite where a class has none, NaN where none has any. All pictures are
            counted where there is no train split.
        unreadable: Id and reason of each unreadable picture.
        duplicates: Pictures whose files hold the same bytes, clips that show the same frames.
        near_duplicates: Pairs that look alike and are not the same; of clips in one group nothing
            is said, no division parts them.
        leaks: The duplicates and near-duplicates that lie in more than one split.
        group_leaks: Groups in more than one split, with those splits.
        contradictions: The duplicates whose labels differ.
        groups: Pictures of each group, by name.
        group_origin: What the groups were taken from, where that is known.
        group_note: What is wrong with the groups of clips, from ``missing_group_note``.
        clips: One row a readable clip: ``id``, ``num_frames``, ``duration_s`` (null where frames
            have no times), ``height``, ``width`` and ``note``; no row of pictures.
        files: One row an example: ``id``, ``path``, ``labels`` (sorted), ``split``, ``group``.
        num_animated: Pictures that are the first frame of an animated GIF.
        unseen_note: What of a picture the medium's default recipe does not see, from
            ``unseen_note``; None where that is little, or nobody asked.
    """

    media: Medium
    num_examples: int
    counts: pl.DataFrame
    splits: dict[str, int]
    num_unlabelled: int
    num_ignored: int
    imbalance: float
    unreadable: dict[str, str]
    duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    group_leaks: dict[str, tuple[str, ...]]
    contradictions: tuple[tuple[str, ...], ...]
    groups: dict[str, int]
    group_origin: str | None
    group_note: str | None
    clips: pl.DataFrame
    files: pl.DataFrame
    num_animated: int
    unseen_note: str | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was found that makes training fail or its figures dishonest."""
        return not (
            self.unreadable
            or self.leaks
            or self.group_leaks
            or self.contradictions
            or self.empty_classes
        )

    @property
    def is_imbalanced(self) -> bool:
        """Return whether classes are so uneven that a person should know; no reason not to train.

        Of a class without any picture ``empty_classes`` tells.
        """
        return IMBALANCED <= self.imbalance < math.inf

    @property
    def empty_classes(self) -> tuple[str, ...]:
        """Return the classes without a training picture (without any, where no train is given)."""
        per_class = self.counts.drop("class")
        found = self.counts["train"] if "train" in self.splits else per_class.sum_horizontal()
        return tuple(self.counts.filter(found == 0)["class"])


def audit(
    manifest: Manifest,
    verification: Verification,
    *,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Return what can be found wrong with a manifest's pictures without a model.

    Every readable picture is read once and decoded, in threads; looking for pairs takes memory
    for those found, not for all that are possible.

    Args:
        manifest: Pictures or clips with their labels, splits and groups.
        verification: Of the manifest; what is unreadable is not compared.
        progress: Called with the number of files compared since its last call.
    """
    media = manifest.media
    named = pl.Series(list(verification.problems), dtype=pl.String)
    rows = manifest.table.filter(~pl.col("id").is_in(named.implode()))
    if media == "clips":
        rows = _with_known_fingerprints(rows, verification)
    else:
        rows = rows.unique("path", keep="first", maintain_order=True)
        prints = take_fingerprints(rows["path"].to_list(), progress=progress)
        rows = rows.with_columns(prints).drop_nulls("content")
    duplicates = _same_content(rows)
    near = _near_duplicates(rows, most_difference=_MOST_DIFFERENCE[media])
    if media == "clips":
        near = _across_groups(near, rows)
    split_of = dict(rows.select("id", "split").drop_nulls().iter_rows())
    counts = _count(manifest)
    return Audit(
        media=media,
        num_examples=manifest.num_examples,
        counts=counts,
        splits=manifest.splits,
        num_unlabelled=manifest.table["labels"].null_count(),
        num_ignored=int((manifest.table["ignored"].list.len() > 0).sum()),
        imbalance=_imbalance(counts),
        unreadable=dict(verification.problems),
        duplicates=duplicates,
        near_duplicates=near,
        leaks=tuple(ids for ids in duplicates + near if _num_splits(ids, split_of) > 1),
        group_leaks=_group_leaks(manifest.table),
        contradictions=_contradictions(rows, duplicates),
        groups=_group_sizes(manifest.table),
        group_origin=manifest.group_origin,
        group_note=missing_group_note(manifest),
        clips=_clip_rows(verification),
        files=manifest.table.select("id", "path", pl.col("labels").list.sort(), "split", "group"),
        num_animated=count_animated(manifest.paths) if media == "pictures" else 0,
    )


def _count(manifest: Manifest) -> pl.DataFrame:
    rows, labels = manifest.positions()
    splits = manifest.table["split"].fill_null("none").to_numpy()[rows]
    columns = {
        split: np.bincount(labels[splits == split], minlength=manifest.task.num_classes)
        for split in (*SPLITS, "none")
    }
    return pl.DataFrame({"class": list(manifest.task.classes), **columns})


def _imbalance(counts: pl.DataFrame) -> float:
    train_K = counts["train"].to_numpy()
    if not train_K.any():
        train_K = counts.drop("class").to_numpy().sum(axis=1)
    most, least = int(train_K.max()), int(train_K.min())
    if least == 0:
        return math.nan if most == 0 else math.inf
    return most / least


def _with_known_fingerprints(rows: pl.DataFrame, verification: Verification) -> pl.DataFrame:
    prints = [verification.facts[name].fingerprint for name in rows["id"]]
    length = len(prints[0].thumbnail) if prints else 0
    return rows.with_columns(
        content=pl.Series([one.content for one in prints], dtype=pl.String),
        look=pl.Series([one.look for one in prints], dtype=pl.UInt64),
        thumbnail=pl.Series([one.thumbnail for one in prints], dtype=pl.Array(pl.UInt8, length)),
    )


def _clip_rows(verification: Verification) -> pl.DataFrame:
    columns = {"id": pl.String, "num_frames": pl.Int64, "duration_s": pl.Float64,
               "height": pl.Int64, "width": pl.Int64, "note": pl.String}  # fmt: skip
    rows = [
        (name, one.num_frames, one.duration_s, one.height, one.width, one.note)
        for name, one in verification.facts.items()
    ]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _same_content(rows: pl.DataFrame) -> tuple[tuple[str, ...], ...]:
    groups = rows.group_by("content").agg(pl.col("id").sort())
    return tuple(sorted(map(tuple, groups.filter(pl.col("id").list.len() > 1)["id"].to_list())))


def _near_duplicates(rows: pl.DataFrame, *, most_difference: float) -> tuple[tuple[str, ...], ...]:
    # of files with the same bytes, one is compared
    distinct = rows.sort("id").unique("content", keep="first", maintain_order=True)
    ids = distinct["id"].to_list()
    pairs = near_pairs(
        distinct["look"].to_numpy(),
        distinct["thumbnail"].to_numpy(),
        most_difference=most_difference,
    )
    return tuple(sorted((ids[a], ids[b]) for a, b in pairs.tolist()))


def _across_groups(
    pairs: tuple[tuple[str, ...], ...], rows: pl.DataFrame
) -> tuple[tuple[str, ...], ...]:
    group_of = dict(rows.select("id", "group").iter_rows())
    return tuple((a, b) for a, b in pairs if group_of[a] is None or group_of[a] != group_of[b])


def _contradictions(
    rows: pl.DataFrame, duplicates: tuple[tuple[str, ...], ...]
) -> tuple[tuple[str, ...], ...]:
    names = [name for ids in duplicates for name in ids]
    known = rows.filter(pl.col("id").is_in(pl.Series(names, dtype=pl.String).implode()))
    known = known.drop_nulls("labels").with_columns(pl.col("labels").list.sort())
    labels_of = {name: tuple(labels) for name, labels in known.select("id", "labels").iter_rows()}
    return tuple(
        ids for ids in duplicates if len({labels_of[name] for name in ids if name in labels_of}) > 1
    )


def _num_splits(ids: tuple[str, ...], split_of: Mapping[str, str]) -> int:
    return len({split_of[name] for name in ids if name in split_of})


def _group_sizes(table: pl.DataFrame) -> dict[str, int]:
    return dict(table["group"].drop_nulls().value_counts().sort("group").iter_rows())


def _group_leaks(table: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    found = (
        table.drop_nulls(["group", "split"])
        .group_by("group")
        .agg(pl.col("split").unique())
        .filter(pl.col("split").list.len() > 1)
        .sort("group")
    )
    return {
        group: tuple(split for split in SPLITS if split in splits)
        for group, splits in found.iter_rows()
    }
