import numpy as np
import pytest

from finelens.data.clips import read_clip
from finelens.data.sampling import Sampling
from finelens.data.sources.arrays import read_arrays
from finelens.data.sources.read import read_source
from finelens.errors import DataError
from finelens.task import TaskKind


def clips(num, seed=0, kind=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, (num, 3, 8, 8, 3)).astype(kind)


def labels_of(manifest):
    return manifest.table["labels"].to_list()


def test_an_archive_of_clips_labels_and_names(array_data):
    manifest = read_source(array_data)
    assert manifest.task.classes == ("left", "right", "still")
    assert manifest.task.kind is TaskKind.MULTI_CLASS
    assert manifest.ids[:2] == ["clips.npz#0", "clips.npz#1"]
    assert manifest.paths[17] == f"{array_data}#17"
    assert labels_of(manifest)[:4] == [["left"], ["right"], ["still"], ["left"]]
    assert manifest.media == "clips"
    assert read_source(array_data.parent).ids == manifest.ids


def test_numbered_classes_keep_their_order_beyond_ten(tmp_path):
    numbers = np.random.default_rng(0).permutation(12)
    np.savez(tmp_path / "a.npz", x=clips(12), y=numbers[:, None].astype(np.float32))
    manifest = read_arrays(tmp_path / "a.npz")
    assert manifest.task.classes == tuple(str(n) for n in range(12))
    assert manifest.targets().argmax(axis=1).tolist() == numbers.tolist()


def test_the_splits_of_an_archive_are_told_by_names(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        x_train=clips(4), y_train=[0, 1, 2, 0], x_val=clips(2, 1), y_val=[1, 0],
        test_x=clips(3, 2), class_names=["a", "b", "c"], groups_train=[5, 5, 6, 7],
    )  # fmt: skip
    manifest = read_arrays(tmp_path / "a.npz")
    assert manifest.splits == {"train": 4, "val": 2, "test": 3}
    rows = {row["id"]: row for row in manifest.table.iter_rows(named=True)}
    assert rows["a.npz#x_val/0"]["labels"] == ["b"]
    assert rows["a.npz#x_train/3"]["group"] == "7"
    assert manifest.group_origin == "the groups stored beside the clips"
    assert rows["a.npz#test_x/2"]["labels"] is None


def test_a_place_leads_to_the_clip_it_names(tmp_path):
    train, val = clips(3), clips(2, seed=1)
    np.savez(tmp_path / "a.npz", x_train=train, y_train=[0, 1, 0], x_val=val, y_val=[1, 0])
    np.save(tmp_path / "x.npy", train)
    np.save(tmp_path / "y.npy", [0, 1, 0])
    stored = dict(zip(read_arrays(tmp_path / "a.npz").ids, [*train, *val], strict=True))
    plain = dict(zip(read_arrays(tmp_path / "x.npy").ids, train, strict=True))
    for name, clip_THWC in (stored | plain).items():
        read = read_clip(f"{tmp_path}/{name}", Sampling(3))
        assert np.array_equal(read.frames_THWC, clip_THWC)


def test_text_and_one_hot_and_multi_hot_labels(tmp_path):
    np.savez(tmp_path / "text.npz", clips=clips(3), label=np.array([b"sit", b"run", b"sit"]))
    assert labels_of(read_arrays(tmp_path / "text.npz")) == [["sit"], ["run"], ["sit"]]
    one_hot = np.eye(4)[[2, 0, 1]]
    np.savez(tmp_path / "one.npz", clips=clips(3), labels=one_hot)
    manifest = read_arrays(tmp_path / "one.npz")
    assert manifest.task.kind is TaskKind.MULTI_CLASS
    assert np.array_equal(manifest.targets(), one_hot)
    multi_hot = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    np.savez(tmp_path / "multi.npz", clips=clips(3), labels=multi_hot)
    manifest = read_arrays(tmp_path / "multi.npz")
    assert manifest.task.kind is TaskKind.MULTI_LABEL
    assert np.array_equal(manifest.targets(), multi_hot)


@pytest.mark.parametrize("name", ["labels.npy", "clips_labels.npy", "y.npy"])
def test_a_plain_array_finds_its_labels_beside_it(tmp_path, name):
    np.save(tmp_path / "clips.npy", clips(3))
    np.save(tmp_path / name, ["run", "sit", "run"])
    for path in (tmp_path, tmp_path / "clips.npy"):
        manifest = read_source(path)
        assert manifest.ids == ["clips.npy#0", "clips.npy#1", "clips.npy#2"]
        assert manifest.paths[2] == f"{tmp_path}/clips.npy#2"
        assert labels_of(manifest) == [["run"], ["sit"], ["run"]]


def test_plain_arrays_of_a_folder_are_its_splits(tmp_path):
    for split, num in (("train", 4), ("val", 2)):
        np.save(tmp_path / f"x_{split}.npy", clips(num))
        np.save(tmp_path / f"y_{split}.npy", np.arange(num) % 2)
    assert read_source(tmp_path).splits == {"train": 4, "val": 2}
    assert read_source(tmp_path / "x_val.npy").ids == ["x_val.npy#0", "x_val.npy#1"]


def test_a_table_of_labels_names_rows_splits_and_groups(tmp_path):
    np.save(tmp_path / "clips.npy", clips(5))
    text = "index,label,split,group\n4,run|sit,Train,9\n1,sit,validation,8\n0,,train,9\n"
    (tmp_path / "labels.csv").write_text(text)
    manifest = read_source(tmp_path)
    assert manifest.ids == ["clips.npy#4", "clips.npy#1", "clips.npy#0"]
    assert labels_of(manifest) == [["run", "sit"], ["sit"], []]
    assert manifest.table["split"].to_list() == ["train", "val", "train"]
    assert manifest.table["group"].to_list() == ["9", "8", "9"]


def test_given_classes_name_numbers_and_order_names(tmp_path, array_data):
    np.savez(tmp_path / "a.npz", clips=clips(2), labels=[1, 0])
    manifest = read_arrays(tmp_path / "a.npz", classes=["run", "sit", "walk"])
    assert manifest.task.classes == ("run", "sit", "walk")
    assert labels_of(manifest) == [["sit"], ["run"]]
    ordered = read_arrays(array_data, classes=["still", "left", "right"])
    assert ordered.task.classes == ("still", "left", "right")
    assert labels_of(ordered)[0] == ["left"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"clips": clips(2, kind=np.float32), "y": [0, 1]}, "is not uint8; save colours as"),
        ({"clips": clips(2)[..., 0], "y": [0, 1]}, r"\(N, T, H, W, 3\), but clips \(2, 3, 8, 8\)"),
        ({"clips": clips(0), "y": []}, "has an axis of length 0"),
        ({"clips": clips(2), "y": [0, 1, 1]}, "does not fit the clips"),
        ({"clips": clips(2), "y": [0.5, 1]}, "are neither whole numbers"),
        ({"clips": clips(2), "y": [-1, 1]}, "label -1 is below 0"),
        ({"clips": clips(2), "y": [0, 3], "classes": ["a", "b"]}, "label 3 has no name, there are"),
        ({"clips": clips(2)}, "no clip has a label"),
        ({"x_train": clips(2), "y_train": [0, 1], "x_val": clips(1), "y_val": ["a"]}, "save them"),
    ],
)
def test_arrays_that_cannot_be_used_are_one_clear_error(tmp_path, members, message):
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(DataError, match=message) as caught:
        read_arrays(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_python_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").write_text, ("!",))

    np.savez(tmp_path / "a.npz", clips=clips(2), labels=np.array([Bomb(), Bomb()], dtype=object))
    with pytest.raises(DataError, match=r'"labels" of .* holds Python objects.*dtype=str'):
        read_arrays(tmp_path / "a.npz")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_a_file_that_is_none_of_numpys_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no array")
    with pytest.raises(DataError, match=rf'{name}" cannot be read as a NumPy file'):
        read_arrays(tmp_path / name)


@pytest.mark.parametrize("cell", ["5", "-1", "1.5", "x", ""])
def test_a_table_of_labels_with_wrong_rows_is_refused(tmp_path, cell):
    np.save(tmp_path / "clips.npy", clips(5))
    (tmp_path / "labels.csv").write_text(f"row,label\n0,a\n{cell},b\n")
    with pytest.raises(DataError, match=r"labels.csv\": row"):
        read_arrays(tmp_path)
