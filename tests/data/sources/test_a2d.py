import shutil

import numpy as np
import pytest

from finelens.data.sources.a2d import CLASSES, read_a2d
from finelens.data.sources.read import read_source
from finelens.errors import DataError
from finelens.task import TaskKind

ACTORS = {1: "adult", 2: "baby", 3: "ball", 4: "bird", 5: "car", 6: "cat", 7: "dog"}
ACTIONS = {1: "climbing", 2: "crawling", 3: "eating", 4: "flying", 5: "jumping", 6: "rolling",
           7: "running", 8: "walking", 9: "none"}  # fmt: skip
VALID = {1: "12356789", 2: "12689", 3: "4569", 4: "1345689", 5: "45679",
         6: "1356789", 7: "2356789"}  # fmt: skip


@pytest.fixture
def a2d(a2d_data, tmp_path):
    """Return the root of a tree that a test may change."""
    return shutil.copytree(a2d_data, tmp_path / "data" / "A2D")


def labels_of(manifest, split):
    return manifest.of_split(split).table["labels"].to_list()


def test_classes_are_the_valid_pairs_of_actor_and_action_in_the_order_of_their_values():
    pairs = [(actor, int(action)) for actor, actions in VALID.items() for action in actions]
    expected = {10 * a + b: f"{ACTORS[a]}-{ACTIONS[b]}" for a, b in pairs}
    assert list(CLASSES.items()) == list(expected.items())
    assert len(CLASSES) == 43


def test_lists_become_splits_and_masks_become_labels(a2d_data):
    manifest = read_a2d(a2d_data)
    assert manifest.splits == {"train": 12, "val": 6, "test": 4}
    assert manifest.task.kind is TaskKind.MULTI_LABEL
    assert manifest.task.classes == tuple(CLASSES.values())
    assert manifest.ids[:2] == ["pngs320H/_train-0_Q/00015.png", "pngs320H/_train-0_Q/00045.png"]
    assert labels_of(manifest, "train")[:2] == [
        [],
        ["adult-climbing", "adult-crawling", "adult-eating", "adult-jumping"],
    ]
    assert labels_of(manifest, "val") == [
        ["adult-climbing"],
        [],
        ["ball-flying", "car-jumping"],
        ["baby-climbing", "cat-climbing"],
        ["dog-none"],
        ["bird-walking", "dog-crawling"],
    ]


def test_rows_keep_the_order_of_the_lists_and_name_their_clip(a2d_data):
    test = read_a2d(a2d_data).of_split("test")
    listed = (a2d_data / "list" / "test.txt").read_text().split()
    assert listed == ["test0/00012", "test0/00005", "test1/00012", "test1/00005"]
    assert test.ids == [f"pngs320H/{frame}.png" for frame in listed]
    assert test.paths == [str(a2d_data / name) for name in test.ids]
    assert test.table["group"].to_list() == ["test0", "test0", "test1", "test1"]
    assert test.group_origin == "the clips that frames are of"


def test_test_frames_without_annotations_are_unlabelled(a2d_data):
    assert labels_of(read_a2d(a2d_data), "test") == [None] * 4


def test_test_frames_with_annotations_are_labelled(a2d, write_annotation):
    for frame in (a2d / "list" / "test.txt").read_text().split():
        write_annotation(a2d / f"Annotations/mat/{frame}.mat", np.full((4, 5), 21))
    assert labels_of(read_a2d(a2d), "test") == [["baby-climbing"]] * 4


def test_test_frames_of_which_some_are_annotated_name_the_first_missing_file(a2d, write_annotation):
    write_annotation(a2d / "Annotations/mat/test0/00012.mat", np.full((4, 5), 21))
    with pytest.raises(DataError, match=r'test0/00005\.mat" does not exist \(3 of 22 missing\)'):
        read_a2d(a2d)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_annotation_is_named(a2d, split):
    frame = (a2d / "list" / f"{split}.txt").read_text().split()[-1]
    (a2d / f"Annotations/mat/{frame}.mat").unlink()
    with pytest.raises(DataError, match=rf'{frame}\.mat" does not exist \(1 of 18 missing\)'):
        read_a2d(a2d)


def test_missing_pictures_are_named_and_counted(a2d):
    shutil.rmtree(a2d / "pngs320H" / "val1")
    with pytest.raises(DataError, match=r'val1/00007\.png" is listed.*\(2 of 22 missing\)'):
        read_a2d(a2d)


def test_an_unreadable_annotation_is_named(a2d):
    path = a2d / "Annotations/mat/val1/00009.mat"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match=r'val1/00009\.mat" cannot be read'):
        read_a2d(a2d)


def test_classes_may_be_some_in_another_order(a2d_data):
    manifest = read_a2d(a2d_data, classes=["car-jumping", "adult-climbing"])
    assert manifest.task.classes == ("car-jumping", "adult-climbing")
    assert labels_of(manifest, "val")[:3] == [["adult-climbing"], [], ["car-jumping"]]
    np.testing.assert_array_equal(manifest.targets()[12:15], [[0, 1], [0, 0], [1, 0]])
    with pytest.raises(DataError, match=r'no class "bird-flyng"; did you mean "bird-flying"'):
        read_a2d(a2d_data, classes=["bird-flyng"])


def test_task_may_be_said(a2d_data):
    with pytest.raises(DataError, match="the task is multi-class"):
        read_a2d(a2d_data, task="multi-class")


def test_the_source_is_guessed_at_the_root_and_above_it(a2d_data):
    expected = read_source(a2d_data, source="a2d").sha256()
    assert read_source(a2d_data).sha256() == expected
    assert read_source(a2d_data.parent).sha256() == expected


def test_a_folder_of_other_things_is_refused(a2d, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no A2D data: list/train\.txt"):
        read_a2d(tmp_path / "empty")
    shutil.copytree(a2d, a2d.parent / "again")
    with pytest.raises(DataError, match="holds no A2D data"):
        read_a2d(a2d.parent)
