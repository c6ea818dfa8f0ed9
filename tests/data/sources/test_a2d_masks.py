import gc
import os
import random

import h5py
import numpy as np
import pytest
import scipy.io

from finelens.data.sources.a2d_masks import read_mask, read_values
from finelens.errors import DataError


def write_dataset(path, content):
    with h5py.File(path, "w") as file:
        file["reS_id"] = content


def silent(_num_masks):
    pass


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, ">u2"])
def test_a_mask_lies_on_its_picture(write_annotation, tmp_path, dtype):
    mask_HW = np.random.default_rng(0).integers(0, 100, (48, 64)).astype(dtype)
    write_annotation(tmp_path / "00015.mat", mask_HW)
    read_HW = read_mask(tmp_path / "00015.mat")
    np.testing.assert_array_equal(read_HW, mask_HW)
    assert np.issubdtype(read_HW.dtype, np.integer)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_values_are_distinct_ascending_and_in_the_order_of_the_masks(
    write_annotation, tmp_path, num_workers
):
    rng = np.random.default_rng(0)
    masks = [rng.choice([0, 11, 14, 79, 99], (6, 8)).astype(np.uint8) for _ in range(40)]
    masks[3][:] = 0
    paths = [str(tmp_path / f"{n}.mat") for n in range(len(masks))]
    for path, mask_HW in zip(map(type(tmp_path), paths), masks, strict=True):
        write_annotation(path, mask_HW)
    advances = []
    values = read_values(paths, num_workers=num_workers, advance=advances.append)
    assert values == [sorted(set(mask_HW.ravel().tolist())) for mask_HW in masks]
    assert sum(advances) == len(masks)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_first_unreadable_mask_is_named(write_annotation, tmp_path, num_workers):
    paths = [tmp_path / f"{n:02d}.mat" for n in range(40)]
    for path in paths:
        write_annotation(path, np.zeros((4, 5), dtype=np.uint8))
    for n in (35, 20):
        paths[n].write_bytes(b"")
    with pytest.raises(DataError, match=r"20\.mat"):
        read_values([*map(str, paths)], num_workers=num_workers, advance=silent)


def test_processes_leave_what_the_parent_threw_away(write_annotation, tmp_path, monkeypatch):
    class Owner:
        """Something that owns threads, which only the process that made it can end."""

        def __init__(self):
            self.itself, self.log = self, tmp_path / "ended_in"

        def __del__(self):
            self.log.write_text(f"{os.getpid()}")

    unique = np.unique
    monkeypatch.setattr(np, "unique", lambda mask_HW: (gc.collect(), unique(mask_HW))[1])
    write_annotation(tmp_path / "1.mat", np.zeros((4, 5), dtype=np.uint8))
    gc.disable()
    try:
        Owner()
        assert read_values([str(tmp_path / "1.mat")], num_workers=1, advance=silent) == [[0]]
        assert not (tmp_path / "ended_in").exists()
        gc.collect()
    finally:
        gc.enable()
    assert (tmp_path / "ended_in").read_text() == f"{os.getpid()}"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r'00001\.mat" cannot be read \(.*No such file'):
        read_mask(tmp_path / "00001.mat")


def test_a_file_of_an_older_matlab_names_the_version_needed(tmp_path):
    scipy.io.savemat(tmp_path / "old.mat", {"reS_id": np.zeros((4, 5))})
    with pytest.raises(DataError, match=r"file signature not found.*original MATLAB v7\.3 file"):
        read_mask(tmp_path / "old.mat")


def test_a_file_without_labels_of_pixels_is_named(tmp_path):
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file.create_group("reS_id")
    with pytest.raises(DataError, match=r'other\.mat" holds no dataset reS_id'):
        read_mask(tmp_path / "other.mat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(6), r"of shape \(6,\) and type float64, not a table of numbers"),
        (np.zeros((2, 3, 4)), r"of shape \(2, 3, 4\)"),
        (7, r"of shape \(\)"),
        (np.full((2, 3), b"11"), r"type \|S2"),
        (np.full((2, 3), 11.5), "values that are not whole numbers"),
        (np.full((2, 3), np.nan), "values that are not whole numbers"),
    ],
)
def test_what_is_no_table_of_whole_numbers_is_named(tmp_path, content, message):
    write_dataset(tmp_path / "odd.mat", content)
    with pytest.raises(DataError, match=message):
        read_mask(tmp_path / "odd.mat")


def test_a_damaged_file_ends_in_no_other_error(write_annotation, tmp_path):
    path, chance = tmp_path / "00015.mat", random.Random(0)
    mask_HW = np.random.default_rng(0).integers(0, 80, (48, 64)).astype(np.uint8)
    write_annotation(path, mask_HW)
    whole = path.read_bytes()
    num_named = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[chance.randrange(512, len(whole))] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            read_mask(path)
        except DataError as error:
            num_named += 1
            assert "00015.mat" in str(error)
    assert num_named > 20
