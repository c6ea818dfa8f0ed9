"""The splits: cutting the missing ones from train, and whether there is enough to train on."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse
from numpy.typing import NDArray

from finelens.data.manifest import SPLITS, Manifest
from finelens.data.media import one_of
from finelens.data.stratification import stratify
from finelens.errors import DataError

_FEW_UNITS, _ATTEMPTS = 2000, 20


def complete_splits(
    manifest: Manifest, *, val_fraction: float, test_fraction: float, seed: int
) -> Manifest:
    """Return the manifest with every labelled picture in a split.

    A val or test split that is missing is cut from the train pictures, stratified by class, and
    never across a group; pictures without a split count as train, unless another picture of
    their group is in a given val or test split: then they join it. Splits that are given stay
    as they are. Pictures with neither a split nor labels stay without. The result depends on
    the ids, labels, groups and the seed, not on the order of rows.

    Args:
        manifest: Rows keep their order.
        val_fraction: Share of the train pictures for a missing val split, in [0, 1); 0 leaves
            it out.
        test_fraction: The same for test.
        seed: Of the choice between equal pictures.

    Raises:
        DataError: If there are no labelled training pictures or a class has none.
    """
    table = _join_groups(manifest.table)
    fractions = {
        "train": 1.0,
        "val": 0.0 if (table["split"] == "val").any() else val_fraction,
        "test": 0.0 if (table["split"] == "test").any() else test_fraction,
    }
    fractions["train"] -= fractions["val"] + fractions["test"]
    is_pool = table.select(
        (pl.col("split").is_null() & pl.col("labels").is_not_null()) | (pl.col("split") == "train")
    ).to_series().fill_null(False)  # fmt: skip
    pool = Manifest(table.filter(is_pool), manifest.task)
    codes_N = np.asarray(table["split"].cast(pl.Enum(SPLITS)).to_physical().fill_null(len(SPLITS)))
    codes_N = codes_N.astype(np.int64)
    if pool.num_examples:
        codes_N[is_pool.to_numpy()] = _cut(pool, [fractions[split] for split in SPLITS], seed)
    names = dict(enumerate((*SPLITS, None)))
    splits = pl.Series("split", codes_N).replace_strict(names, return_dtype=pl.String)
    completed = Manifest(table.with_columns(splits), manifest.task)
    _check_training_pictures(completed)
    return completed


def check_trainable(manifest: Manifest, *, allow_empty_classes: bool = False) -> None:
    """Raise where a model cannot be trained on a manifest's splits.

    Raises:
        DataError: If a training picture is unlabelled, a class has no training picture and that
            is not allowed, or there is no labelled validation picture.
    """
    _check_training_pictures(manifest)
    one = one_of(manifest.media)
    absent = empty_classes(manifest)
    if absent and not allow_empty_classes:
        more = len(absent) - 1
        others = f" (nor ha{'s 1 other' if more == 1 else f've {more} others'})" if more else ""
        raise DataError(
            f'class "{absent[0]}" has no training {one}{others}; add some, or train on the '
            "others with --set data.empty_classes=keep"
        )
    val = manifest.table.filter(pl.col("split") == "val")
    if val.is_empty():
        raise DataError(
            f"there is no validation {one}: thresholds and the best epoch are chosen on them; "
            f"give a val split, or set data.val_fraction above 0 (with few {one}s, higher)"
        )
    if val["labels"].null_count() == val.height:
        raise DataError(f"none of the {val.height} validation {one}s has labels; label them")


def _check_training_pictures(manifest: Manifest) -> None:
    one = one_of(manifest.media)
    train = manifest.table.filter(pl.col("split") == "train")
    if train.is_empty():
        given = ", ".join(f"{count} in {name}" for name, count in manifest.splits.items())
        raise DataError(f"there is no training {one} ({given or 'no labels'}); add a train split")
    unlabelled = train.filter(pl.col("labels").is_null())
    if not unlabelled.is_empty():
        raise DataError(
            f'training {one} "{unlabelled["id"][0]}" has no labels ({unlabelled.height} such '
            f"{one}s); label them or leave them out"
        )


def empty_classes(manifest: Manifest) -> list[str]:
    """Return the classes that no training picture holds, in class order."""
    train = manifest.table.filter(pl.col("split") == "train")
    _, labels = Manifest(train, manifest.task).positions()
    counts_K = np.bincount(labels, minlength=manifest.task.num_classes)
    return [manifest.task.classes[k] for k in np.flatnonzero(counts_K == 0)]


def _join_groups(table: pl.DataFrame) -> pl.DataFrame:
    held = (
        table.filter(pl.col("split").is_in(["val", "test"]) & pl.col("group").is_not_null())
        .sort("split", descending=True)
        .unique("group", keep="first", maintain_order=True)
        .select("group", held="split")
    )
    if held.is_empty():
        return table
    joined = table.join(held, on="group", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("split", "held").alias("split")).drop("held")


def _cut(pool: Manifest, fractions: list[float], seed: int) -> NDArray[np.int64]:
    """Return the index in ``SPLITS`` of each picture of the pool."""
    if fractions[0] == 1.0:
        return np.zeros(pool.num_examples, dtype=np.int64)
    units_N, is_unlabelled_N = _units(pool.table), _without_class(pool.table)
    rows, labels = pool.positions()
    # pictures of no class are divided as a class of their own
    rows = np.concatenate([rows, np.flatnonzero(is_unlabelled_N)])
    labels = np.concatenate([labels, np.full(is_unlabelled_N.sum(), pool.task.num_classes)])
    counts_UL = scipy.sparse.coo_array(
        (np.ones(len(rows)), (units_N[rows], labels)),
        shape=(int(units_N.max()) + 1, pool.task.num_classes + 1),
    ).tocsr()
    parts_U = _best_division(counts_UL, np.bincount(units_N), fractions, seed)
    return parts_U[units_N]


def _best_division(
    counts_UL: scipy.sparse.csr_array,
    sizes_U: NDArray[np.int64],
    fractions: list[float],
    seed: int,
) -> NDArray[np.int64]:
    # groups are lumpy and a division of few of them a matter of luck: take the best of several
    is_lumpy = int(sizes_U.max()) > 1 and len(sizes_U) <= _FEW_UNITS
    divisions = [
        stratify(counts_UL, sizes_U, fractions, np.random.default_rng([seed, attempt]))
        for attempt in range(_ATTEMPTS if is_lumpy else 1)
    ]
    return min(divisions, key=lambda parts_U: _unevenness(counts_UL, parts_U, fractions))


def _unevenness(
    counts_UL: scipy.sparse.csr_array, parts_U: NDArray[np.int64], fractions: list[float]
) -> float:
    """Return the sum over parts and classes of the squared error of the part's share."""
    parts = [counts_UL[parts_U == part].sum(axis=0) for part in range(len(fractions))]
    found_SL = np.stack([np.asarray(part_L, dtype=np.float64).ravel() for part_L in parts])
    total_L = np.maximum(found_SL.sum(axis=0), 1.0)
    return float((((found_SL / total_L) - np.asarray(fractions)[:, None]) ** 2).sum())


def _units(table: pl.DataFrame) -> NDArray[np.int64]:
    """Return a number for each row, the same for rows of one group, ordered by name."""
    # ids and groups are told apart by a mark, so that a group may be named like a picture
    key = (
        pl.when(pl.col("group").is_null())
        .then(pl.lit("i") + pl.col("id"))
        .otherwise(pl.lit("g") + pl.col("group"))
    )
    return table.select(key.rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _without_class(table: pl.DataFrame) -> NDArray[np.bool_]:
    return (table["labels"].list.len().fill_null(0) == 0).to_numpy()
