import numpy as np
import pytest
from PIL import Image

from finelens.data.extent import median_shorter_side, sample_sizes
from finelens.errors import DataError


def test_it_is_the_median_of_the_shorter_sides(tmp_path):
    paths = []
    for n, (width, height) in enumerate([(10, 30), (50, 20), (40, 40)]):
        paths.append(str(tmp_path / f"{n}.png"))
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(paths[-1])
    assert median_shorter_side(paths) == 20


def test_many_pictures_are_sampled(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(np.zeros((12, 34, 3), np.uint8)).save(path)
    assert median_shorter_side([path] * 1000) == 12


def test_of_a_picture_its_beginning_is_enough_however_it_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=exif)
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    assert median_shorter_side([str(tmp_path / "a.jpg")]) == 90


def test_a_file_whose_beginning_tells_nothing_is_read_to_say_why(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg: not a picture"):
        median_shorter_side([str(tmp_path / "a.jpg")])


def test_of_clips_the_first_frame_is_looked_at(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 5, 18, 30, 3), np.uint8))
    assert median_shorter_side([f"{tmp_path}/a.npy#{row}" for row in range(2)], frames=4) == 18


def test_sizes_are_those_of_files_that_are_pictures(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    paths = [str(tmp_path / "a.png"), str(tmp_path / "gone.png")]
    for n, (width, height) in enumerate([(10, 30), (50, 20)]):
        paths.append(str(tmp_path / f"{n}.png"))
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(paths[-1])
    assert sample_sizes(paths) == [(30, 10), (20, 50)]
    assert len(sample_sizes(paths[2:3] * 1000)) <= 256
    assert sample_sizes([]) == []


def test_a_decompression_bomb_has_no_size(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert sample_sizes([str(tmp_path / "a.png")]) == []
