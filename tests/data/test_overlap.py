import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.manifest import build_manifest
from finelens.data.overlap import Overlap, find_overlap


def manifest_of(paths, *, splits=None, spans=None):
    spans = spans or [(None, None)] * len(paths)
    return build_manifest(
        pl.DataFrame({
            "id": [str(n) for n in range(len(paths))],
            "path": [str(path) for path in paths],
            "labels": [["a"]] * len(paths),
            "split": pl.Series(splits or [None] * len(paths), dtype=pl.String),
            "start_s": pl.Series([start_s for start_s, _ in spans], dtype=pl.Float64),
            "end_s": pl.Series([end_s for _, end_s in spans], dtype=pl.Float64),
        }),
        classes=["a", "b"],
    )  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """Return six files of a run, of one size and other content: two a split."""
    folder = tmp_path / "own"
    folder.mkdir()
    files = [folder / f"{n}.png" for n in range(6)]
    for n, file in enumerate(files):
        file.write_bytes(bytes([n]) * 1000)
    return files


SPLITS = ["train", "train", "val", "val", "test", "test"]


def test_files_of_train_and_val_are_counted_and_those_of_test_are_not(own):
    found = find_overlap(manifest_of(own), manifest_of(own, splits=SPLITS))
    assert found == Overlap(num_train=2, num_val=2, num_gone=0)


def test_a_link_and_another_spelling_are_the_same_file(own, tmp_path):
    (tmp_path / "link.png").symlink_to(own[0])
    spelled = own[2].parent / ".." / "own" / own[2].name
    found = find_overlap(
        manifest_of([tmp_path / "link.png", spelled]), manifest_of(own, splits=SPLITS)
    )
    assert found == Overlap(num_train=1, num_val=1, num_gone=0)


def test_a_copy_is_found_by_its_bytes_and_others_of_its_size_are_not(own, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(own[1], other / "renamed.jpg")
    (other / "new.png").write_bytes(bytes([9]) * 1000)
    (other / "short.png").write_bytes(bytes([0]) * 999)
    found = find_overlap(manifest_of(sorted(other.iterdir())), manifest_of(own, splits=SPLITS))
    assert found == Overlap(num_train=1, num_val=0, num_gone=0)


def test_a_file_in_train_and_val_counts_once_as_train(own, tmp_path):
    shutil.copy(own[0], own[2])
    shutil.copy(own[0], tmp_path / "copy.png")
    found = find_overlap(manifest_of([tmp_path / "copy.png"]), manifest_of(own, splits=SPLITS))
    assert found == Overlap(num_train=1, num_val=0, num_gone=0)


def test_files_of_the_run_that_are_gone_are_counted(own, tmp_path):
    (tmp_path / "new.png").write_bytes(b"new")
    known = manifest_of(own, splits=SPLITS)
    for file in (own[0], own[3], own[5]):
        file.unlink()
    found = find_overlap(manifest_of([tmp_path / "new.png", tmp_path / "none.png"]), known)
    assert found == Overlap(num_train=0, num_val=0, num_gone=2)


def test_parts_of_one_video_count_where_they_share_some_of_it(own):
    video = own[0].with_suffix(".avi")
    video.write_bytes(b"video")
    known = manifest_of([video, video], splits=["train", "val"], spans=[(0, 2), (5, None)])
    asked = manifest_of([video] * 4, spans=[(1, 3), (2, 5), (4, 6), (None, None)])
    assert find_overlap(asked, known) == Overlap(num_train=2, num_val=1, num_gone=0)


def test_copies_of_frame_folders_and_array_files_are_found(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for n in range(3):
            frame = np.full((4, 4, 3), 10 * n + ord(name), dtype=np.uint8)
            Image.fromarray(frame).save(tmp_path / "own" / name / f"{n}.png")
    np.save(tmp_path / "own" / "clips.npy", np.zeros((3, 2, 4, 4, 3), dtype=np.uint8))
    shutil.copytree(tmp_path / "own", tmp_path / "copy")
    (tmp_path / "copy" / "b" / "2.png").write_bytes(
        (tmp_path / "copy" / "b" / "1.png").read_bytes()
    )

    def places(folder):
        return [f"{folder}/a/", f"{folder}/b/", f"{folder}/clips.npy#0", f"{folder}/clips.npy#2"]

    known = manifest_of(places(tmp_path / "own"), splits=["train", "train", "val", "test"])
    found = find_overlap(manifest_of(places(tmp_path / "copy")), known)
    assert found == Overlap(num_train=1, num_val=1, num_gone=0)
