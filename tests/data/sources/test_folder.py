import pytest

from finelens.data.sources.folder import read_folder
from finelens.errors import DataError
from finelens.task import TaskKind


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def rows(manifest):
    table = manifest.table.select("id", "labels", "split")
    return {name: (labels, split) for name, labels, split in table.iter_rows()}


def test_class_folders_give_labels_and_sorted_ids(tmp_path):
    put(tmp_path, "dog/b.JPG", "dog/deep/a 1.png", "Katze ü/z.WebP", "dog/a.tiff", "dog/notes.txt")
    manifest = read_folder(tmp_path)
    assert manifest.ids == ["Katze ü/z.WebP", "dog/a.tiff", "dog/b.JPG", "dog/deep/a 1.png"]
    assert manifest.paths[0] == str(tmp_path / "Katze ü/z.WebP")
    assert manifest.task.classes == ("Katze ü", "dog")
    assert manifest.task.kind is TaskKind.MULTI_CLASS
    assert rows(manifest)["dog/deep/a 1.png"] == (["dog"], None)


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_split_folders_in_any_case_and_an_unlabelled_test_folder(tmp_path, validation):
    put(tmp_path, "Train/a/1.jpg", "Train/b/2.jpg", f"{validation}/a/3.bmp", "TEST/4.gif")
    manifest = read_folder(tmp_path)
    assert rows(manifest) == {
        "Train/a/1.jpg": (["a"], "train"),
        "Train/b/2.jpg": (["b"], "train"),
        f"{validation}/a/3.bmp": (["a"], "val"),
        "TEST/4.gif": (None, "test"),
    }
    assert manifest.task.kind is TaskKind.MULTI_CLASS


def test_hidden_files_and_folders_and_other_files_are_left_out(tmp_path):
    put(tmp_path, "a/1.jpg", "b/2.jpeg", "a/._1.jpg", ".cache/3.jpg", "a/.thumbs/4.jpg", "a/5.pdf")
    assert read_folder(tmp_path).ids == ["a/1.jpg", "b/2.jpeg"]


def test_links_are_followed_once(tmp_path):
    put(tmp_path, "store/1.jpg", "data/b/2.jpg")
    (tmp_path / "data/a").symlink_to(tmp_path / "store")
    (tmp_path / "data/b/loop").symlink_to(tmp_path / "data/b")
    assert read_folder(tmp_path / "data").ids == ["a/1.jpg", "b/2.jpg"]


def test_picture_beside_class_folders_is_unlabelled(tmp_path):
    put(tmp_path, "a/1.jpg", "b/2.jpg", "sheet.png")
    assert rows(read_folder(tmp_path))["sheet.png"] == (None, None)


def test_empty_class_folder_is_a_class(tmp_path):
    put(tmp_path, "train/a/1.jpg", "train/b/2.jpg")
    (tmp_path / "train" / "c").mkdir()
    assert read_folder(tmp_path).task.classes == ("a", "b", "c")


def test_class_may_be_called_train(tmp_path):
    put(tmp_path, "train/1.jpg", "bus/2.jpg")
    assert rows(read_folder(tmp_path))["train/1.jpg"] == (["train"], None)


def test_given_classes_order_the_task_and_refuse_others(tmp_path):
    put(tmp_path, "cat/1.jpg", "dog/2.jpg")
    assert read_folder(tmp_path, classes=["dog", "cow", "cat"]).task.classes == (
        "dog",
        "cow",
        "cat",
    )
    with pytest.raises(DataError, match=r'class "dog" of "dog/2\.jpg" is unknown'):
        read_folder(tmp_path, classes=["cat", "cow"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["readme.txt"], "holds no picture and no clip; pictures end in .bmp"),
        (["1.jpg", "2.jpg"], "no class folders"),
        (["train/1.jpg", "test/2.jpg"], "no class folders"),
        (["cat/1.jpg"], 'only one class, "cat"; add a folder'),
        (["pets/cat/1.jpg", "pets/dog/2.jpg"], '\\("cat"\\) are the classes, give ".*pets"'),
        (["train/a/1.jpg", "train/b/1.jpg", "c/1.jpg"], 'mixes split folders \\("train"\\)'),
        (["a/1.jpg", "b/1.jpg", "test/1.jpg"], 'mixes split folders \\("test"\\)'),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_used_are_one_clear_error(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_videos_in_class_folders_are_clips_and_gifs_go_with_them(tmp_path):
    put(tmp_path, "train/run/a.MP4", "train/run/deep/b.avi", "train/sit/c.gif", "test/d.webm")
    manifest = read_folder(tmp_path)
    assert manifest.media == "clips"
    assert rows(manifest) == {
        "test/d.webm": (None, "test"),
        "train/run/a.MP4": (["run"], "train"),
        "train/run/deep/b.avi": (["run"], "train"),
        "train/sit/c.gif": (["sit"], "train"),
    }


def test_pictures_beside_clips_are_refused(tmp_path):
    put(tmp_path, "run/a.mp4", "sit/b.avi", "sit/b.jpg")
    with pytest.raises(DataError, match=r'mixes pictures \(".*sit/b.jpg", 1 such\) and clips'):
        read_folder(tmp_path)


def test_folders_of_pictures_in_class_folders_stay_pictures(tmp_path):
    put(tmp_path, "run/0001/img_1.jpg", "run/0001/img_2.jpg", "sit/0001/img_1.jpg")
    manifest = read_folder(tmp_path)
    assert manifest.media == "pictures"
    assert manifest.num_examples == 3
