import numpy as np
import pytest
from PIL import Image

from finelens.data.clips import read_clip
from finelens.data.frame_folders import list_frames
from finelens.data.sampling import Sampling
from finelens.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for n in range(12):
        Image.fromarray(np.full((6, 8, 3), 20 * n, dtype=np.uint8)).save(tmp_path / f"img_{n}.png")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no frame")
    return tmp_path


def shades(clip):
    return (clip.frames_THWC[:, 0, 0, 0] // 20).tolist()


def test_frames_come_in_the_order_of_their_numbers(folder):
    assert list_frames(str(folder)) == [f"img_{n}.png" for n in range(12)]
    clip = read_clip(str(folder), Sampling(12))
    assert clip.frames_THWC.shape == (12, 6, 8, 3)
    assert shades(clip) == list(range(12))


def test_a_part_of_a_folder_is_told_by_the_numbers_in_the_names(folder):
    assert shades(read_clip(f"{folder}#3-8", Sampling(3))) == [4, 6, 8]
    with pytest.raises(DataError, match=r"#40-50: no frame has a number from 40 to 50"):
        read_clip(f"{folder}#40-50", Sampling(3))


def test_a_short_folder_repeats_its_last_frame(folder):
    assert shades(read_clip(f"{folder}#0-2", Sampling(5))) == [0, 1, 2, 2, 2]


def test_the_first_frame_of_another_size_is_named(folder):
    Image.new("RGB", (9, 6)).save(folder / "img_7.png")
    Image.new("RGB", (9, 7)).save(folder / "img_9.png")
    with pytest.raises(DataError, match=r"frame img_7.png is 9 x 6 pixels, the first is 8 x 6"):
        read_clip(str(folder), Sampling(12))


def test_an_unreadable_frame_is_named_behind_its_folder(folder):
    (folder / "img_5.png").write_text("text")
    with pytest.raises(DataError) as caught:
        read_clip(str(folder), Sampling(12))
    assert str(caught.value).startswith(f"{folder}: frame img_5.png: not a picture")


def test_a_folder_without_pictures_and_a_time_range_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        read_clip(str(tmp_path / "empty"), Sampling(2))
    with pytest.raises(DataError, match="video files only"):
        read_clip(str(folder), Sampling(2), start_s=1.0)
