import pytest
from PIL import Image

from finelens.data.sources.frame_folders import read_frame_folders
from finelens.data.sources.read import read_source
from finelens.errors import DataError
from finelens.task import TaskKind


def put_frames(root, *folders, num_frames=3):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for n in range(1, num_frames + 1):
            Image.new("RGB", (8, 8)).save(root / folder / f"img_{n:05d}.jpg")


def annotate(root, *lines, name="annotations.txt"):
    (root / name).write_text("\n".join(lines))
    return root / name


def test_an_annotations_file_gives_folders_ranges_and_numbered_labels(tmp_path):
    put_frames(tmp_path, "jump/0001", "run/0001")
    annotate(tmp_path, "jump/0001 1 3 0", "", "run/0001/ 2 3 1")
    manifest = read_source(tmp_path)
    assert manifest.ids == ["jump/0001#1-3", "run/0001#2-3"]
    assert manifest.paths == [f"{tmp_path}/{name}" for name in manifest.ids]
    assert manifest.task.classes == ("0", "1")
    assert manifest.task.kind is TaskKind.MULTI_CLASS
    assert manifest.media == "clips"
    assert manifest.table["group"].to_list() == [None, None]
    assert manifest.group_origin is None


def test_several_labels_are_multi_label_and_repeats_count_once(tmp_path):
    put_frames(tmp_path, "a", "b")
    annotate(tmp_path, "a 1 3 0 2 4", "b 1 3 1 1 2")
    manifest = read_source(tmp_path)
    assert manifest.task.kind is TaskKind.MULTI_LABEL
    assert manifest.task.classes == ("0", "1", "2", "3", "4")
    assert manifest.table["labels"].to_list() == [["0", "2", "4"], ["1", "2"]]


def test_names_come_from_the_lines_or_classes_txt_or_the_given_classes(tmp_path):
    put_frames(tmp_path, "a b", "c")
    annotate(tmp_path, "a b\t1\t3\tlong jump", "c\t1\t3\trun")
    assert read_source(tmp_path).task.classes == ("long jump", "run")
    annotate(tmp_path, "a b\t1\t3\t1", "c\t1\t3\t0")
    assert read_source(tmp_path, classes=["run", "jump"]).table["labels"].to_list() == [
        ["jump"],
        ["run"],
    ]
    (tmp_path / "classes.txt").write_text("sit\nwalk\n")
    assert read_source(tmp_path).table["labels"].to_list() == [["walk"], ["sit"]]


def test_clips_cut_from_one_folder_are_one_group(tmp_path):
    put_frames(tmp_path, "a", "b", num_frames=6)
    file = annotate(tmp_path, "a 1 3 0", "a 4 6 1", "b 1 6 0", name="train_list.txt")
    manifest = read_source(file)
    assert manifest.ids == ["a#1-3", "a#4-6", "b#1-6"]
    assert manifest.table["group"].to_list() == ["a", "a", None]
    assert manifest.group_origin == "the files that several clips are cut from"


def test_class_folders_of_folders_of_frames_where_asked_for(tmp_path):
    put_frames(tmp_path, "train/run/0002", "train/sit/0001", "val/run/0001", "test/0001")
    manifest = read_source(tmp_path, source="frames")
    assert manifest.ids == ["test/0001", "train/run/0002", "train/sit/0001", "val/run/0001"]
    assert manifest.paths[0] == f"{tmp_path}/test/0001/"
    assert manifest.table["labels"].to_list() == [None, ["run"], ["sit"], ["run"]]
    assert manifest.table["split"].to_list() == ["test", "train", "train", "val"]
    assert manifest.media == "clips"
    assert read_source(tmp_path).media == "pictures"


@pytest.mark.parametrize("folders", [["run", "sit"], ["train/run", "train/sit"], ["run/1", "sit"]])
def test_frames_that_lie_in_no_folder_of_their_clip_are_refused(tmp_path, folders):
    put_frames(tmp_path, *folders)
    with pytest.raises(DataError, match="lies in no class folder"):
        read_frame_folders(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a 1 3 0", "b 1 x 1"], 'line 2 says "b 1 x 1"; write PATH FIRST LAST LABEL'),
        (["a 3 1 0"], "line 1"),
        (["a 1 3 0", "no/b 1 3 1"], r'no/b" does not exist|no/b#1-3" does not exist'),
        (["a 1 3 0", "a 1 3 1"], 'contradictory labels: "a#1-3"'),
        ([""], "is empty; write PATH"),
    ],
)
def test_bad_annotations_are_one_clear_error(tmp_path, lines, message):
    put_frames(tmp_path, "a")
    with pytest.raises(DataError, match=message):
        read_frame_folders(annotate(tmp_path, *lines))


def test_other_text_files_are_no_annotations(tmp_path):
    put_frames(tmp_path, "a", "b")
    annotate(tmp_path, "see the licence")
    assert read_source(tmp_path).media == "pictures"
    with pytest.raises(DataError, match="neither a folder nor a table"):
        read_source(tmp_path / "annotations.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds neither annotations\.txt nor pictures"):
        read_source(tmp_path / "empty", source="frames")


def test_folders_of_pictures_are_clips_where_clips_are_asked_for(tmp_path):
    put_frames(tmp_path / "clips", "jump/0001", "jump/0002", "run/0001")
    put_frames(tmp_path / "split", "train/jump/1", "train/run/2", "test/jump/3")
    put_frames(tmp_path / "pictures", "jump", "run")
    found = read_source(tmp_path / "clips", is_clips=True)
    assert found.media == "clips"
    assert found.ids == ["jump/0001", "jump/0002", "run/0001"]
    assert read_source(tmp_path / "split", is_clips=True).splits == {"train": 2, "test": 1}
    assert read_source(tmp_path / "clips").media == "pictures"
    # pictures that lie in no folder of a clip are none
    assert read_source(tmp_path / "pictures", is_clips=True).media == "pictures"
    (tmp_path / "clips" / "run" / "0001" / "a.mp4").touch()
    with pytest.raises(DataError, match="mixes pictures"):
        read_source(tmp_path / "clips", is_clips=True)
