import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.dataset import PictureDataset
from finelens.data.frame_cache import FrameCache
from finelens.data.images import read_image
from finelens.data.preprocessing import Preprocessing
from finelens.errors import DataError

PREPROCESSING = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TARGETS = np.array([[1, 0], [0, np.nan], [1, 1]], dtype=np.float32)


@pytest.fixture
def paths(tmp_path):
    files = [tmp_path / f"{n}.jpg" for n in range(3)]
    for n in (0, 2):
        noise = np.random.default_rng(n).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(noise).save(files[n])
    files[1].write_text("no picture")
    return [str(file) for file in files]


def test_sample_holds_the_evaluation_view_and_its_target_row(paths):
    sample = PictureDataset(paths, TARGETS, PREPROCESSING)[(0, 5, 2)]
    assert torch.equal(sample.image, PREPROCESSING(read_image(paths[2])))
    assert sample.target_K.tolist() == [1, 1]
    assert (sample.index, sample.told.error) == (2, None)


def test_augmented_sample_depends_on_seed_epoch_and_index(paths):
    augmentation = Augmentation("standard", PREPROCESSING)
    sample = PictureDataset(paths, TARGETS, augmentation)[(3, 5, 2)]
    expected = augmentation(read_image(paths[2]), sample_generator(3, 5, 2))
    assert torch.equal(sample.image, expected)
    for seed, epoch in ((4, 5), (3, 6)):
        other = PictureDataset(paths, TARGETS, augmentation)[(seed, epoch, 2)]
        assert not torch.equal(other.image, expected)


@pytest.fixture
def big_jpeg(tmp_path):
    """Return a JPEG of 180 x 140 pixels: for any view of 16 it is decoded at a half or less."""
    noise = np.random.default_rng(0).integers(0, 256, (140, 180, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "big.jpg")
    return str(tmp_path / "big.jpg")


@pytest.mark.parametrize("policy", ["none", "light", "standard", "a2d-deep"])
def test_a_big_jpeg_is_decoded_at_the_least_side_of_the_view(big_jpeg, policy):
    augmentation = Augmentation(policy, PREPROCESSING)
    sample = PictureDataset([big_jpeg], TARGETS[:1], augmentation)[(0, 0, 0)]
    part, full = (read_image(big_jpeg, least_side=side) for side in (augmentation.least_side, None))
    assert len(part) < len(full)
    assert torch.equal(sample.image, augmentation(part, sample_generator(0, 0, 0)))
    assert not torch.equal(sample.image, augmentation(full, sample_generator(0, 0, 0)))


def test_a_cache_tells_parts_of_a_big_jpeg_apart(big_jpeg, tmp_path):
    for gap in (None, 2.0, 4.0):
        view = dataclasses.replace(PREPROCESSING, reducing_gap=gap)
        cache = FrameCache(tmp_path / "cache", max_bytes=10**8)
        plain, cached = (
            PictureDataset([big_jpeg], TARGETS[:1], view, cache=each) for each in (None, cache)
        )
        for _ in range(2):
            assert torch.equal(cached[(0, 0, 0)].image, plain[(0, 0, 0)].image)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3


@pytest.mark.parametrize("on_error", ["raise", "row"])
def test_unreadable_picture_is_a_row_of_zeros_with_its_reason(paths, on_error):
    sample = PictureDataset(paths, TARGETS, PREPROCESSING, on_error=on_error)[(0, 0, 1)]
    assert sample.image.shape == (3, 16, 16)
    assert not sample.image.any()
    assert sample.target_K[0] == 0
    assert sample.target_K[1].isnan()
    assert sample.told.error is not None
    assert sample.told.error.startswith(f"{paths[1]}: not a picture")


def test_batch_keeps_the_order_of_its_keys(paths):
    dataset = PictureDataset(paths, TARGETS, PREPROCESSING)
    batch = dataset.read_batch([(0, 0, index) for index in (2, 1, 0)])
    assert batch.images_BCHW.shape == (3, 3, 16, 16)
    assert batch.images_BCHW.dtype == torch.uint8
    assert batch.indices_B.tolist() == [2, 1, 0]
    assert batch.indices_B.dtype == torch.int64
    np.testing.assert_array_equal(batch.targets_BK.numpy(), TARGETS[::-1])
    assert [error is None for error in batch.errors] == [True, False, True]


def test_changing_a_sample_does_not_change_the_dataset(paths):
    dataset = PictureDataset(paths, TARGETS, PREPROCESSING)
    dataset[(0, 0, 0)].target_K[0] = 7
    assert dataset[(0, 0, 0)].target_K[0] == 1


def test_paths_and_targets_must_be_as_many(paths):
    with pytest.raises(DataError, match="2 paths do not fit 3 rows"):
        PictureDataset(paths[:2], TARGETS, PREPROCESSING)


def test_reading_a_sample_leaves_the_number_of_threads_as_it_was(paths):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        PictureDataset(paths, TARGETS, PREPROCESSING)[(0, 0, 0)]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
