import hashlib
from collections import Counter

import polars as pl
import pytest
from PIL import Image

from finelens.data.demo.scene import CLASSES, draw_scene
from finelens.data.demo.writing import write_demo
from finelens.data.sources.read import read_source
from finelens.errors import DataError
from finelens.task import TaskKind


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jpg"))
    }


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), num_examples=80)


def test_the_table_is_read_as_multi_label_pictures_with_all_splits(table):
    manifest = read_source(table.parent)
    assert manifest.task.kind is TaskKind.MULTI_LABEL
    assert manifest.task.classes == CLASSES
    assert manifest.splits == {"train": 60, "val": 10, "test": 10}


def test_labels_are_those_of_the_scenes(table):
    labels = pl.read_csv(table)["labels"].fill_null("")
    assert labels.to_list() == ["|".join(draw_scene(0, index).labels) for index in range(80)]


def test_pictures_are_jpeg_files_of_the_scenes_sizes(table):
    for index, path in enumerate(pl.read_csv(table)["path"].head(10)):
        with Image.open(table.parent / path) as image:
            assert image.format == "JPEG"
            assert image.size == draw_scene(0, index).image.shape[1::-1]


def test_picture_n_is_the_same_however_many_there_are(table, tmp_path):
    fewer = write_demo(tmp_path / "new", num_examples=12)
    rows = pl.read_csv(fewer)
    assert rows.equals(pl.read_csv(table).head(12))
    assert digests(fewer.parent).items() < digests(table.parent).items()


def test_another_seed_gives_other_pictures(table, tmp_path):
    other = write_demo(tmp_path, num_examples=4, seed=1)
    assert not set(digests(other.parent).values()) & set(digests(table.parent).values())


def test_no_two_pictures_are_alike(table):
    assert max(Counter(digests(table.parent).values()).values()) == 1


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="holds other files"):
        write_demo(tmp_path, num_examples=1)
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_pictures_of_an_unfinished_call_are_drawn_again(table, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "00000.jpg").write_bytes(b"half")
    write_demo(tmp_path, num_examples=2)
    assert digests(tmp_path).items() < digests(table.parent).items()
    assert {item.name for item in tmp_path.iterdir()} == {"manifest.csv", "pictures"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_demo(tmp_path / "file" / "demo", num_examples=1)
