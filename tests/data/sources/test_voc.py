import numpy as np
import pytest

from finelens.data.sources.voc import read_voc
from finelens.errors import DataError
from finelens.task import TaskKind

VALUES = {
    "train": {"000005": {"bird": 1, "train": -1}, "000002": {"bird": 0, "train": 1}},
    "val": {"000007": {"bird": -1, "train": -1}},
    "test": {"000001": {"bird": 1, "train": 1}},
}


def write_voc(root, values=VALUES, year="VOC2007"):
    lists, pictures = root / year / "ImageSets" / "Main", root / year / "JPEGImages"
    lists.mkdir(parents=True)
    pictures.mkdir()
    for split, rows in values.items():
        (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in rows))
        for name in ("bird", "train"):
            lines = [f"{stem} {row[name]:2d}\n" for stem, row in rows.items() if name in row]
            (lists / f"{name}_{split}.txt").write_text("".join(lines))
        for stem in rows:
            (pictures / f"{stem}.jpg").write_bytes(b"")
    return root / year


def test_lists_become_labels_and_difficult_counts_neither_way(tmp_path):
    manifest = read_voc(write_voc(tmp_path))
    assert manifest.ids == [f"JPEGImages/{n}.jpg" for n in ("000005", "000002", "000007", "000001")]
    assert manifest.splits == {"train": 2, "val": 1, "test": 1}
    assert manifest.task.classes == ("bird", "train")
    assert manifest.task.kind is TaskKind.MULTI_LABEL
    expected = [[1, 0], [np.nan, 1], [0, 0], [1, 1]]
    np.testing.assert_array_equal(manifest.targets(), np.array(expected, dtype=np.float32))


def test_year_devkit_and_its_parent_are_the_same_data(tmp_path):
    year = write_voc(tmp_path / "VOCdevkit")
    hashes = {read_voc(path).sha256() for path in (year, year.parent, tmp_path)}
    assert len(hashes) == 1


def test_two_years_are_ambiguous(tmp_path):
    write_voc(tmp_path)
    write_voc(tmp_path, year="VOC2012")
    with pytest.raises(DataError, match=r'VOC2007", ".*VOC2012"; give one of them'):
        read_voc(tmp_path)


def test_trainval_is_train_where_train_is_missing(tmp_path):
    root = write_voc(tmp_path, {"trainval": VALUES["train"], "test": VALUES["test"]})
    assert read_voc(root).splits == {"train": 2, "test": 1}


@pytest.mark.parametrize("keeps_lists", [True, False])
def test_test_pictures_without_values_are_unlabelled(tmp_path, keeps_lists):
    root = write_voc(tmp_path)
    for name in ("bird", "train"):
        file = root / "ImageSets" / "Main" / f"{name}_test.txt"
        file.write_text("000001\n") if keeps_lists else file.unlink()
    manifest = read_voc(root)
    assert manifest.of_split("test").table["labels"].to_list() == [None]
    assert manifest.of_split("test").table["ignored"].to_list() == [[]]


def test_classes_may_be_some_in_another_order(tmp_path):
    root = write_voc(tmp_path)
    assert read_voc(root, classes=["train", "bird"]).task.classes == ("train", "bird")
    with pytest.raises(DataError, match=r'"brid" has no list .*did you mean "bird"'):
        read_voc(root, classes=["brid"])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("bird_train.txt", "000005 1\n000002 2\n", 'says "2" of 000002'),
        ("bird_train.txt", "000005 1\n", "picture 000002 is in 1 of 2 class lists of train"),
        ("val.txt", "000007\n000099\n", r'"000099" is listed, and not in .*\(1 of 5 missing\)'),
        ("train.txt", "000005\n", "000002 is in class lists, not in train.txt"),
        ("val.txt", "000007\n000005\n", '"JPEGImages/000005.jpg" is listed'),
        ("bird_val.txt", None, "no bird_val.txt beside val.txt"),
    ],
)
def test_contradictory_lists_are_one_clear_error(tmp_path, file, text, message):
    root = write_voc(tmp_path)
    path = root / "ImageSets" / "Main" / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_voc(root)


def test_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(DataError, match="ImageSets/Main is missing"):
        read_voc(tmp_path)
