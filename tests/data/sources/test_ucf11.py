import shutil

import polars as pl
import pytest

from finelens.data.sources.read import read_source
from finelens.data.sources.ucf11 import find_ucf11, read_ucf11
from finelens.data.splits import complete_splits
from finelens.errors import DataError


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_the_class_is_the_folder_and_the_group_a_video_of_that_class(ucf11_data):
    manifest = read_ucf11(ucf11_data)
    assert manifest.task.classes == ("basketball", "biking", "walking")
    assert manifest.num_examples == 36
    first = manifest.table.row(0, named=True)
    assert first["id"] == "basketball/v_shooting_01/v_shooting_01_01.avi"
    assert first["path"] == str(ucf11_data / first["id"])
    assert (first["labels"], first["group"]) == (["basketball"], "basketball/v_shooting_01")
    assert manifest.table["group"].n_unique() == 18
    assert manifest.media == "clips"


def test_both_forms_are_recognised_at_their_root_and_its_parent(ucf11_data, ucf11_mpg_data):
    for root, count in ((ucf11_data, 36), (ucf11_mpg_data, 6)):
        assert read_source(root).num_examples == count
        assert read_source(root.parent).ids == read_source(root).ids


def test_annotation_folders_are_skipped_in_any_case(tmp_path):
    put(
        tmp_path,
        "a/v_x_01/1.mpg",
        "a/Annotation/v_x_01.mpg",
        "b/v_y_01/1.mpg",
        "b/annotation/2.avi",
    )
    assert read_ucf11(tmp_path).ids == ["a/v_x_01/1.mpg", "b/v_y_01/1.mpg"]


def test_no_group_is_divided(ucf11_data):
    completed = complete_splits(read_ucf11(ucf11_data), val_fraction=0.2, test_fraction=0.2, seed=0)
    splits_of_group = completed.table.group_by("group").agg(splits=pl.col("split").unique())
    assert splits_of_group["splits"].list.len().max() == 1
    assert set(completed.splits) == {"train", "val", "test"}


def test_an_index_with_groups_wins_over_names(ucf11_mpg_data, tmp_path):
    root = tmp_path / "clips"
    shutil.copytree(ucf11_mpg_data, root)
    ids = read_ucf11(root).ids
    lines = [f"{name},{name.split('/')[0]},recording {n % 2}" for n, name in enumerate(ids)]
    (root / "index.csv").write_text("\n".join(["path,label,group", *lines]))
    for manifest in (read_source(root), read_source(root, source="ucf11")):
        assert manifest.ids == ids
        assert manifest.table["group"].to_list() == [f"recording {n % 2}" for n in range(len(ids))]
    (root / "index.csv").write_text("path,label\n" + f"{ids[0]},basketball\n")
    assert read_source(root).num_examples == len(ids)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.avi", "b/2.avi"], "is not laid out as UCF-11"),
        (["a/v_x_01/1.avi", "b/v_y_01/2.avi", "b/3.avi"], '3.avi" lies in no group folder'),
        (
            ["UCF11_updated_mpg/a/v_x_01/1.mpg", "action_youtube_naudio/a/v_x_01/1.avi"],
            "action_youtube_naudio.*; give one of them",
        ),
        (["a/v_x_01/1.avi"], 'only one class, "a"'),
    ],
)
def test_other_layouts_are_one_clear_error(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        read_ucf11(tmp_path)


def test_pictures_in_such_folders_are_not_ucf11(tmp_path):
    put(tmp_path, "a/v_x_01/1.jpg", "b/v_y_01/2.jpg")
    assert find_ucf11(tmp_path) is None
    assert read_source(tmp_path).media == "pictures"
