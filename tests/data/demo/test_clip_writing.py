import hashlib
from collections import Counter

import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.demo.clip import draw_clip, draw_stage
from finelens.data.demo.clip_writing import write_demo_clips
from finelens.data.demo.motion import MOTIONS
from finelens.data.sources.read import read_source
from finelens.errors import DataError
from finelens.task import TaskKind


def digests(table):
    clips = np.load(table.parent / "clips.npy", mmap_mode="r")
    return [hashlib.sha256(clip.tobytes()).hexdigest() for clip in clips]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_demo_clips(tmp_path_factory.mktemp("clips"), num_clips=56)


def test_the_folder_is_read_as_clips_of_seven_classes_with_all_splits(table):
    manifest = read_source(table.parent)
    assert manifest.task.kind is TaskKind.MULTI_CLASS
    assert manifest.task.classes == tuple(MOTIONS)
    assert manifest.splits == {"train": 42, "val": 7, "test": 7}
    assert manifest.table["path"][17].endswith("clips.npy#17")


def test_the_array_is_memory_mappable_and_holds_the_scenes_clips(table):
    clips = np.load(table.parent / "clips.npy", mmap_mode="r", allow_pickle=False)
    assert isinstance(clips, np.memmap)
    assert (clips.shape, clips.dtype) == ((56, 30, 64, 64, 3), np.uint8)
    rows = pl.read_csv(table)
    for row in (0, 13, 55):
        scene = int(rows["group"][row].removeprefix("scene-"))
        clip = draw_clip(draw_stage(0, scene), rows["label"][row], 0, scene)
        np.testing.assert_array_equal(clips[row], clip)


def test_a_group_has_a_clip_of_every_motion_in_one_split(table):
    groups = pl.read_csv(table).group_by("group").agg("label", pl.col("split").n_unique())
    assert all(sorted(labels) == sorted(MOTIONS) for labels in groups["label"])
    assert groups["split"].to_list() == [1] * 8


def test_clip_n_is_the_same_however_many_there_are(table, tmp_path):
    fewer = write_demo_clips(tmp_path / "new", num_clips=9)
    assert pl.read_csv(fewer).equals(pl.read_csv(table).head(9))
    assert digests(fewer) == digests(table)[:9]


def test_another_seed_gives_other_clips(table, tmp_path):
    other = write_demo_clips(tmp_path, num_clips=7, seed=1)
    assert not set(digests(other)) & set(digests(table))


def test_no_two_clips_are_alike(table):
    assert max(Counter(digests(table)).values()) == 1


def test_the_preview_shows_ten_frames_of_every_motion(table):
    with Image.open(table.parent / "preview.png") as preview:
        width, height = preview.size
        assert (width > 10 * 128, height > 7 * 128) == (True, True)
        assert len(preview.convert("RGB").getcolors(width * height) or ()) > 1000


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match=r'holds "mine.txt" and no whole set'):
        write_demo_clips(tmp_path, num_clips=7)
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_clips_of_an_unfinished_call_are_drawn_again(table, tmp_path):
    (tmp_path / "clips.npy.part").write_bytes(b"half")
    again = write_demo_clips(tmp_path, num_clips=7)
    assert digests(again) == digests(table)[:7]
    assert {item.name for item in tmp_path.iterdir()} == {"clips.npy", "labels.csv", "preview.png"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_demo_clips(tmp_path / "file" / "demo", num_clips=1)
