import pytest

from finelens.data.sources.read import read_source
from finelens.errors import DataError


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_source_is_guessed_from_what_lies_there(tmp_path):
    put(tmp_path, "folder/a/1.jpg", "folder/b/2.jpg", "table/1.jpg", "table/2.jpg")
    text = "path,label\n1.jpg,x\n2.jpg,y\n"
    for name in ("manifest.csv", "other.csv", "other.tsv"):
        mark = "\t" if name.endswith("tsv") else ","
        (tmp_path / "table" / name).write_text(text.replace(",", mark))
    lists = tmp_path / "voc/VOCdevkit/VOC2012/ImageSets/Main"
    put(tmp_path, "voc/VOCdevkit/VOC2012/JPEGImages/7.jpg")
    lists.mkdir(parents=True)
    for name, text in {"train": "7", "cow_train": "7 1", "pig_train": "7 -1"}.items():
        (lists / f"{name}.txt").write_text(text)
    assert read_source(tmp_path / "folder").task.classes == ("a", "b")
    for name in ("table", "table/other.csv", "table/other.tsv"):
        assert read_source(str(tmp_path / name)).task.classes == ("x", "y")
    assert read_source(tmp_path / "voc").task.classes == ("cow", "pig")


def test_given_source_overrides_the_guess(tmp_path):
    put(tmp_path, "a/1.jpg", "b/2.jpg", "manifest.csv")
    assert read_source(tmp_path, source="folder").task.classes == ("a", "b")


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("none", "auto", "does not exist"),
        ("", "auto", "holds no picture"),
        ("", "tabel", 'did you mean "table"'),
        ("", "table", "holds no manifest.csv or manifest.parquet"),
        ("", "voc", "holds no Pascal VOC data"),
        ("x.jpg", "auto", "neither a folder nor a table"),
        ("x.jpg", "folder", "is a file; data.source folder needs a folder"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(tmp_path, path, source, message):
    put(tmp_path / "beside", "x.jpg")
    (tmp_path / "data").mkdir()
    if path == "x.jpg":
        put(tmp_path / "data", "x.jpg")
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / "data" / path, source=source)


def test_a_folder_of_folders_of_frames_names_one_to_give(tmp_path):
    for data in ("one", "two"):
        put(tmp_path, *(f"{data}/{name}/7/{n}.jpg" for name in ("run", "sit") for n in (1, 2)))
        (tmp_path / data / "annotations.txt").write_text("run/7 1 2 run\nsit/7 1 2 sit\n")
    with pytest.raises(DataError, match=rf"folders one, two do: give one.* {tmp_path}/one; or"):
        read_source(tmp_path)
    assert read_source(tmp_path / "one").media == "clips"
    assert read_source(tmp_path, source="folder").task.classes == ("one", "two")
