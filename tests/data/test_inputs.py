import numpy as np
import pytest

from finelens.data.inputs import find_clips, find_pictures
from finelens.errors import DataError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def clips_at(root, *names):
    """Return the clips that names stand for, relative, and what was said of them."""
    told = []
    found = find_clips((root / name for name in names), say=told.append)
    return [place.removeprefix(f"{root}/") for place in found], told


def test_files_and_folders_mix_and_a_path_given_twice_is_there_twice(tmp_path):
    touch(tmp_path, "below/b.webp", "c.jpg")
    below, file = tmp_path / "below", str(tmp_path / "c.jpg")
    found = find_pictures(iter([file, below, file, tmp_path / "notes.txt"]))
    assert found == [file, str(below / "b.webp"), file, str(tmp_path / "notes.txt")]


def test_clips_are_videos_folders_of_frames_and_elements_of_arrays(tmp_path):
    touch(tmp_path, "videos/b/2.AVI", "videos/a.mp4", "frames/c/1.png", "frames/d/e/1.png")
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 3, 3, 3), np.uint8), y=[0, 1])
    found, told = clips_at(tmp_path, "videos", "frames", "a.npz", "a.npz#1", "none.avi", "p.png")
    assert found == [
        "videos/a.mp4", "videos/b/2.AVI", "frames/c/", "frames/d/e/",
        "a.npz#0", "a.npz#1", "a.npz#1", "none.avi", "p.png",
    ]  # fmt: skip
    assert told == []


def test_the_arrays_of_a_folder_are_clips_and_a_preview_beside_them_is_none(tmp_path):
    touch(tmp_path, "preview.png", "labels.csv")
    np.save(tmp_path / "clips.npy", np.zeros((2, 4, 3, 3, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(2))
    found, told = clips_at(tmp_path.parent, tmp_path.name)
    assert found == [f"{tmp_path.name}/clips.npy#{n}" for n in range(2)]
    assert told == [
        f"folder {tmp_path}: 1 picture beside the arrays of clips left out, such as preview.png; "
        "the model is of clips"
    ]


@pytest.mark.parametrize(
    ("clip", "place", "what"), [("a.mp4", "a.mp4", "videos"), ("a/1.png", "a/", "folders of fra")]
)
def test_pictures_beside_videos_and_folders_of_frames_are_left_out(tmp_path, clip, place, what):
    touch(tmp_path / "given", clip, "cover.jpg", "augment-light.png")
    found, told = clips_at(tmp_path, "given")
    assert found == [f"given/{place}"]
    assert len(told) == 1
    assert f"2 pictures beside the {what}" in told[0]
    assert "such as augment-light.png" in told[0]


def test_a_folder_of_pictures_alone_is_one_clip_and_it_is_said(tmp_path):
    touch(tmp_path / "walk", "1.png", "2.png", "3.png")
    found, told = clips_at(tmp_path, "walk")
    assert found == ["walk/"]
    assert told == [
        f"folder {tmp_path / 'walk'}: taken as one clip, its 3 pictures as the frames of it"
    ]


def test_paths_that_hold_no_clip_are_refused(tmp_path):
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(DataError, match="holds no array of clips"):
        clips_at(tmp_path, "y.npy")
    with pytest.raises(DataError, match="holds neither videos, nor arrays of clips, nor frames"):
        clips_at(tmp_path.parent, tmp_path.name)
    with pytest.raises(DataError, match="there is nothing to predict: give a clip"):
        clips_at(tmp_path)
