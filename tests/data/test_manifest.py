import numpy as np
import polars as pl
import pytest

from finelens.data.manifest import SCHEMA, build_manifest
from finelens.errors import DataError
from finelens.task import TaskKind


def table(labels, **columns):
    ids = [f"folder/bild ä {n}.jpg" for n in range(len(labels))]
    lists = pl.Series(labels, dtype=pl.List(pl.String))
    rows = {"id": ids, "path": [f"/data/{name}" for name in ids], "labels": lists, **columns}
    return pl.DataFrame(rows)


def test_missing_columns_are_filled_and_classes_are_sorted():
    manifest = build_manifest(table([["dog"], ["cat"]], colour=["red", "blue"]))
    assert dict(manifest.table.schema) == SCHEMA
    assert manifest.task.classes == ("cat", "dog")
    assert manifest.table["ignored"].to_list() == [[], []]
    assert manifest.splits == {}


@pytest.mark.parametrize(
    ("labels", "ignored", "kind"),
    [
        ([["a"], ["b"]], [[], []], TaskKind.MULTI_CLASS),
        ([["a"], ["b"], None], [[], [], []], TaskKind.MULTI_CLASS),
        ([["a"], ["b", "a"]], [[], []], TaskKind.MULTI_LABEL),
        ([["a"], ["b"], []], [[], [], []], TaskKind.MULTI_LABEL),
        ([["a"], ["b"]], [["b"], []], TaskKind.MULTI_LABEL),
    ],
)
def test_task_is_inferred_from_the_labels(labels, ignored, kind):
    column = pl.Series(ignored, dtype=pl.List(pl.String))
    assert build_manifest(table(labels, ignored=column)).task.kind is kind


def test_targets_agree_with_the_task():
    generator = np.random.default_rng(0)
    names = ["a", "b", "c"]
    labels = [[n for n in names if generator.random() < 0.4] for _ in range(50)]
    labels[7] = None
    ignored = [[n for n in names if generator.random() < 0.2] for _ in range(50)]
    column = pl.Series(ignored, dtype=pl.List(pl.String))
    manifest = build_manifest(table(labels, ignored=column), classes=["c", "a", "b", "unused"])
    expected = manifest.task.targets(labels, ignored)
    np.testing.assert_array_equal(manifest.targets(), expected)
    assert np.isnan(expected).any()


def test_splits_are_counted_and_selected_in_row_order():
    rows = table([["a"], ["b"], ["a"], ["b"]], split=["val", "train", "train", None])
    manifest = build_manifest(rows)
    assert manifest.splits == {"train": 2, "val": 1}
    assert manifest.of_split("train").ids == ["folder/bild ä 1.jpg", "folder/bild ä 2.jpg"]
    with pytest.raises(DataError, match='split "vall" is unknown; did you mean "val"'):
        manifest.of_split("vall")
    with pytest.raises(DataError, match='split "test" has no picture; there are 2 in train'):
        manifest.of_split("test")


def test_without_leaves_rows_out_and_refuses_to_leave_none():
    manifest = build_manifest(table([["a"], ["b"]]))
    assert manifest.without([manifest.ids[0], "foreign"]).ids == manifest.ids[1:]
    with pytest.raises(DataError, match="no picture is left"):
        manifest.without(manifest.ids)


def test_sha256_tells_content_not_order_or_place():
    rows = table([["a", "b"], ["b"]], split=["train", "val"])
    first = build_manifest(rows).sha256()
    swapped = pl.Series([["b", "a"], ["b"]])
    moved = rows.with_columns(path=pl.lit("/other/") + pl.col("id"), labels=swapped).reverse()
    assert build_manifest(moved).sha256() == first
    assert build_manifest(rows.with_columns(split=pl.lit("train"))).sha256() != first
    assert build_manifest(rows.with_columns(group=pl.lit("g"))).sha256() != first


def test_no_labels_are_an_error_unless_classes_are_given():
    with pytest.raises(DataError, match="no picture has a label"):
        build_manifest(table([None, None]))
    manifest = build_manifest(table([None, None]), classes=["a", "b"])
    assert np.isnan(manifest.targets()).all()


def test_one_class_is_a_task_only_where_it_can_be_absent():
    with pytest.raises(DataError, match='only one class, "bird"'):
        build_manifest(table([["bird"], ["bird"]]))
    assert build_manifest(table([["bird"], []])).task.classes == ("bird",)


@pytest.mark.parametrize(
    ("rows", "choices", "message"),
    [
        (table([]), {}, "holds no picture"),
        (table([["a"], ["b"]]).drop("path"), {}, "path is missing"),
        (table([["a"], ["b"]]), {"task": "multilabel"}, 'did you mean "multi-label"'),
        (table([["a"], ["bee"]]), {"classes": ["a", "beee"]}, '"bee" of .*did you mean "beee"'),
        (table([["a"], ["b"]]), {"classes": ["a", "b", "a"]}, '"a" is given twice'),
        (table([["a"], ["b"]], split=["train", "tets"]), {}, '"tets" of .*did you mean "test"'),
        (table([["a", "b"], ["b"]]), {"task": "multi-class"}, '"a" \\+ "b" \\(1 such'),
        (table([["a"], ["b"], []]), {"task": "multi-class"}, "has no label"),
    ],
)
def test_bad_content_is_one_clear_error(rows, choices, message):
    with pytest.raises(DataError, match=message):
        build_manifest(rows, **choices)


def test_repeated_rows_and_contradictory_rows_are_told_apart():
    rows = table([["a"], ["b"]])
    with pytest.raises(DataError, match="listed more than once \\(1 such pictures\\)"):
        build_manifest(pl.concat([rows, rows[:1]]))
    other = rows[:1].with_columns(labels=pl.Series([["b"]]))
    with pytest.raises(DataError, match=r'contradictory labels: .* is listed as "a" and as "b"'):
        build_manifest(pl.concat([rows, other]))
