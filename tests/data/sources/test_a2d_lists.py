import shutil

import pytest

from finelens.data.sources.a2d import read_a2d
from finelens.data.sources.a2d_lists import list_frames
from finelens.errors import DataError

RELEASE = """\
_train-0_Q,11,0:00:01,0:00:05.2,320,568,100,3,0
-val0,12,0:00:11,0:00:15,320,480,96,3,1
val2,79,0:00:11,0:00:15,320,480,96,3,1
"""


@pytest.fixture
def lists(tmp_path):
    """Return the folder of a root's lists, each with a frame."""
    folder = tmp_path / "list"
    folder.mkdir()
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").write_text(f"clip-{split}/00001\n")
    return folder


@pytest.fixture
def release(a2d_data, tmp_path):
    """Return a root as it was released: with a table of clips in place of the lists."""
    root = shutil.copytree(a2d_data, tmp_path / "A2D")
    shutil.rmtree(root / "list")
    (root / "videoset.csv").write_text(RELEASE)
    return root


def test_blank_lines_and_other_ends_of_lines_are_no_frames(lists):
    (lists / "val.txt").write_bytes("\ufeff_a-B/00002\r\n\r\nc/00001 \n\n".encode())
    assert list_frames(lists.parent).rows() == [
        ("clip-train/00001", "train", "clip-train"),
        ("_a-B/00002", "val", "_a-B"),
        ("c/00001", "val", "c"),
        ("clip-test/00001", "test", "clip-test"),
    ]


def test_a_list_may_be_missing(lists):
    (lists / "val.txt").unlink()
    assert list_frames(lists.parent)["split"].to_list() == ["train", "test"]


@pytest.mark.parametrize(
    "line",
    ["clip", "clip/1", "clip/000001", "a/b/00001", "../00001", "a b/00001", "/00001", "c/0000a"],
)
def test_a_malformed_line_names_its_list_and_number(lists, line):
    (lists / "val.txt").write_text(f"clip/00001\n{line}\n")
    with pytest.raises(DataError, match=rf'val\.txt", line 2: "{line}" is no CLIP/FRAME'):
        list_frames(lists.parent)


def test_a_frame_twice_in_a_list_names_both_lines(lists):
    (lists / "val.txt").write_text("a/00001\nb/00001\na/00001\n")
    with pytest.raises(DataError, match=r'val\.txt", line 3: "a/00001" is on line 1 of val\.txt'):
        list_frames(lists.parent)


def test_a_frame_in_two_lists_names_both(lists):
    (lists / "test.txt").write_text("a/00001\nclip-train/00001\n")
    with pytest.raises(DataError, match=r'test\.txt", line 2: .* is on line 1 of train\.txt'):
        list_frames(lists.parent)


def test_lists_without_a_frame_are_refused(lists):
    for file in lists.iterdir():
        file.write_text("\n")
    with pytest.raises(DataError, match="its lists name no frame"):
        list_frames(lists.parent)


def test_a_list_that_is_no_text_is_named(lists):
    (lists / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r'val\.txt" cannot be read'):
        list_frames(lists.parent)


@pytest.mark.parametrize(
    "header", ["", "VID,Label,Start,End,Height,Width,Frames,Annotated,Usage\n"]
)
def test_without_lists_the_usage_of_a_clip_is_the_split_of_its_annotated_frames(release, header):
    (release / "videoset.csv").write_text(header + RELEASE)
    manifest = read_a2d(release)
    assert manifest.splits == {"train": 2, "test": 4}
    assert manifest.of_split("test").ids == [
        "pngs320H/-val0/00020.png", "pngs320H/-val0/00040.png",
        "pngs320H/val2/00003.png", "pngs320H/val2/00031.png",
    ]  # fmt: skip
    assert manifest.of_split("test").table["labels"].to_list()[-1] == [
        "bird-walking",
        "dog-crawling",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val1,34,0,1,320,480,96,3,2", 'line 4: "val1,34,0,1,320,480,96,3,2" is not a clip'),
        ("val1,34,0", 'line 4: "val1,34,0" is not a clip'),
        ("../val1,34,0,1,320,480,96,3,1", "line 4: .* is not a clip"),
        ("val2,79,0,1,320,480,96,3,1", 'line 4: clip "val2" is named already'),
        ("val9,79,0,1,320,480,96,3,1", 'mat/val9" holds no annotation'),
    ],
)
def test_a_table_of_clips_that_cannot_be_used_is_one_clear_error(release, line, message):
    (release / "videoset.csv").write_text(f"{RELEASE}{line}\n")
    with pytest.raises(DataError, match=message):
        list_frames(release)
