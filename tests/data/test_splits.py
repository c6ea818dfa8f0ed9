import numpy as np
import polars as pl
import pytest

from finelens.data.manifest import build_manifest
from finelens.data.splits import check_trainable, complete_splits, empty_classes
from finelens.errors import DataError

CUT = {"val_fraction": 0.2, "test_fraction": 0.2, "seed": 0}


def manifest_of(labels, splits=None, groups=None):
    ids = [f"{n:04d}.jpg" for n in range(len(labels))]
    return build_manifest(
        pl.DataFrame(
            {
                "id": ids,
                "path": [f"/data/{name}" for name in ids],
                "labels": pl.Series(labels, dtype=pl.List(pl.String)),
                "split": pl.Series(splits or [None] * len(ids), dtype=pl.String),
                "group": pl.Series(groups or [None] * len(ids), dtype=pl.String),
            }
        )
    )


def test_missing_splits_are_cut_stratified_and_rows_keep_their_order():
    manifest = manifest_of([["a"]] * 50 + [["b"]] * 20 + [["c"]] * 5)
    completed = complete_splits(manifest, **CUT)
    assert completed.ids == manifest.ids
    assert completed.splits == {"train": 45, "val": 15, "test": 15}
    counts = completed.table.explode("labels").group_by("labels", "split").len()
    assert set(counts.rows()) == {
        ("a", "train", 30), ("a", "val", 10), ("a", "test", 10),
        ("b", "train", 12), ("b", "val", 4), ("b", "test", 4),
        ("c", "train", 3), ("c", "val", 1), ("c", "test", 1),
    }  # fmt: skip


def test_cut_depends_on_the_seed_and_not_on_the_order_of_rows():
    manifest = manifest_of([["a"], ["b"], ["a", "b"], []] * 25)
    first = complete_splits(manifest, **CUT)
    shuffled = build_manifest(manifest.table.sample(fraction=1.0, shuffle=True, seed=3))
    again = complete_splits(shuffled, **CUT)
    assert again.table.sort("id").equals(first.table.sort("id"))
    other = complete_splits(manifest, val_fraction=0.2, test_fraction=0.2, seed=1)
    assert not other.table.equals(first.table)


def test_given_splits_stay_and_only_the_missing_one_is_cut():
    splits = ["train"] * 40 + ["test"] * 10
    completed = complete_splits(manifest_of([["a"], ["b"]] * 25, splits), **CUT)
    assert completed.splits == {"train": 32, "val": 8, "test": 10}
    assert completed.table["split"][40:].to_list() == ["test"] * 10


def test_nothing_is_cut_where_splits_are_given_or_fractions_are_zero():
    splits = ["train", "val", "train", "test", None, None]
    manifest = manifest_of([["a"], ["b"]] * 3, splits)
    completed = complete_splits(manifest, val_fraction=0.5, test_fraction=0.4, seed=0)
    assert completed.table["split"].to_list() == ["train", "val", "train", "test", "train", "train"]
    unsplit = complete_splits(
        manifest_of([["a"], ["b"]]), val_fraction=0.0, test_fraction=0.0, seed=0
    )
    assert unsplit.splits == {"train": 2}


@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_torn_apart(seed):
    generator = np.random.default_rng(seed)
    groups = [f"g{n}" if n < 40 else None for n in generator.integers(0, 60, 400)]
    labels = [[str(name)] for name in generator.choice(["a", "b", "c"], 400, p=[0.7, 0.2, 0.1])]
    completed = complete_splits(manifest_of(labels, groups=groups), **(CUT | {"seed": seed}))
    splits = completed.table.drop_nulls("group").group_by("group").agg(pl.col("split").n_unique())
    assert (splits["split"] == 1).all()
    assert completed.splits["val"] == pytest.approx(80, abs=12)
    assert completed.splits["test"] == pytest.approx(80, abs=12)


def test_pictures_without_a_split_join_their_group_in_a_given_split():
    manifest = manifest_of(
        [["a"], ["b"]] * 4, ["train"] * 4 + ["test", "val", None, None], [None] * 4 + list("ghgh")
    )
    completed = complete_splits(manifest, **CUT)
    assert completed.table["split"].to_list()[4:] == ["test", "val", "test", "val"]


def test_unlabelled_pictures_stay_outside_the_cut():
    completed = complete_splits(manifest_of([["a"], ["b"]] * 10 + [None] * 5), **CUT)
    assert completed.table["split"][20:].to_list() == [None] * 5


def test_class_without_training_pictures_is_named():
    manifest = manifest_of([["a"], ["b"], ["c"], ["d"]], ["train", "train", "val", "test"])
    with pytest.raises(DataError, match=r'class "c" has no training picture \(nor has 1 other\)'):
        check_trainable(manifest)


def test_data_without_training_pictures_is_refused():
    with pytest.raises(DataError, match=r"no training picture \(2 in test\)"):
        complete_splits(manifest_of([["a"], ["b"]], ["test", "test"]), **CUT)


def test_unlabelled_training_pictures_are_refused():
    manifest = manifest_of([["a"], ["b"], None], ["train"] * 3)
    with pytest.raises(DataError, match=r'"0002.jpg" has no labels \(1 such'):
        complete_splits(manifest, **CUT)


def test_training_needs_labelled_validation_pictures():
    with pytest.raises(DataError, match="no validation picture"):
        check_trainable(manifest_of([["a"], ["b"]], ["train", "train"]))
    with pytest.raises(DataError, match="none of the 1 validation pictures has labels"):
        check_trainable(manifest_of([["a"], ["b"], None], ["train", "train", "val"]))
    check_trainable(manifest_of([["a"], ["b"], ["a"]], ["train", "train", "val"]))


def test_few_groups_are_divided_evenly_in_every_class():
    generator = np.random.default_rng(0)
    sizes = generator.integers(5, 40, 20)
    groups = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    labels = [[str(name)] for name in generator.choice(["a", "b", "c"], len(groups))]
    completed = complete_splits(manifest_of(labels, groups=groups), **CUT)
    counts = completed.table.explode("labels").group_by("labels", "split").len()
    shares = counts.with_columns(pl.col("len") / pl.col("len").sum().over("labels"))
    expected = pl.when(pl.col("split") == "train").then(0.6).otherwise(0.2)
    assert shares.select((pl.col("len") - expected).abs().max()).item() < 0.08


def test_a_class_without_training_pictures_is_refused_unless_it_is_allowed():
    manifest = manifest_of([["a"], ["b"], ["c"]], ["train", "train", "val"])
    with pytest.raises(DataError, match=r'class "c" has no training picture; .*empty_classes=keep'):
        check_trainable(manifest)
    check_trainable(manifest, allow_empty_classes=True)
    assert empty_classes(manifest) == ["c"]
