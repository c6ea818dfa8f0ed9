"""Clips as samples: one draw for all frames, and the same with a cache as without."""

import numpy as np
import pytest
import torch

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.dataset import PictureDataset
from finelens.data.frame_cache import FrameCache
from finelens.data.preprocessing import Preprocessing

FRAMES = 4
PREPROCESSING = Preprocessing(16, (0.5,) * 3, (0.5,) * 3, frames=FRAMES)
TARGETS = np.array([[1, 0], [0, 1]], dtype=np.float32)


@pytest.fixture
def raw_clips():
    return np.random.default_rng(0).integers(0, 256, (2, 8, 20, 30, 3), dtype=np.uint8)


@pytest.fixture
def places(tmp_path, raw_clips):
    np.save(tmp_path / "clips.npy", raw_clips)
    return [f"{tmp_path}/clips.npy#{n}" for n in range(2)]


def test_a_clip_is_its_frames_views_evenly_spread(places, raw_clips):
    sample = PictureDataset(places, TARGETS, PREPROCESSING)[(0, 0, 1)]
    middles = raw_clips[1][[1, 3, 5, 7]]
    assert torch.equal(sample.image, torch.stack([PREPROCESSING(frame) for frame in middles]))


def test_every_stride_counts_from_the_start(places, raw_clips):
    view = Preprocessing(16, (0.5,) * 3, (0.5,) * 3, frames=FRAMES, stride=2)
    sample = PictureDataset(places, TARGETS, view)[(0, 0, 0)]
    expected = torch.stack([view(frame) for frame in raw_clips[0][::2]])
    assert torch.equal(sample.image, expected)


def test_one_draw_serves_all_frames(tmp_path):
    still_HWC = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.save(tmp_path / "still.npy", np.broadcast_to(still_HWC, (1, 8, *still_HWC.shape)))
    augmentation = Augmentation("a2d-deep", PREPROCESSING)
    dataset = PictureDataset([f"{tmp_path}/still.npy#0"], TARGETS[:1], augmentation)
    for epoch in range(10):
        image = dataset[(0, epoch, 0)].image
        assert (image == image[:1]).all()
        alone = augmentation(still_HWC, sample_generator(0, epoch, 0))
        assert (image[0].int() - alone.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("policy", "num_kept"), [("none", 2), ("voc-colour-flip", 2), ("standard", 0), ("a2d-deep", 2)]
)
def test_a_cache_changes_nothing_and_keeps_what_costs(places, tmp_path, policy, num_kept):
    augmentation = Augmentation(policy, PREPROCESSING)
    plain = PictureDataset(places, TARGETS, augmentation)
    cache = FrameCache(tmp_path / "cache", max_bytes=10**8)
    cached = PictureDataset(places, TARGETS, augmentation, cache=cache)
    for epoch in range(2):
        for index in range(2):
            key = (3, epoch, index)
            assert torch.equal(plain[key].image, cached[key].image)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == num_kept


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [20, 16])
def test_a_clip_that_lies_ready_in_an_array_is_not_copied_into_the_cache(tmp_path, save, size):
    save(tmp_path / "a.npz", x=np.random.default_rng(0).integers(0, 256, (2, 8, 20, 20, 3), "u1"))
    view = Preprocessing(size, (0.5,) * 3, (0.5,) * 3, crop_fraction=1.0, frames=FRAMES)
    places = [f"{tmp_path}/a.npz#{n}" for n in range(2)]
    cache = FrameCache(tmp_path / "cache", max_bytes=10**8)
    cached = PictureDataset(places, TARGETS, view, cache=cache)
    plain = PictureDataset(places, TARGETS, view)
    for index in range(2):
        assert torch.equal(cached[(0, 0, index)].image, plain[(0, 0, index)].image)
    is_ready = size == 20 and save is np.savez
    assert (tmp_path / "cache").exists() != is_ready


def test_an_unreadable_clip_is_a_row_of_zeros_with_its_reason(places, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    paths = [str(tmp_path / "broken.mp4"), places[1]]
    dataset = PictureDataset(paths, TARGETS, PREPROCESSING, on_error="row")
    batch = dataset.read_batch([(0, 0, index) for index in range(2)])
    assert batch.images_BCHW.shape == (2, FRAMES, 3, 16, 16)
    assert batch.errors[1] is None
    assert batch.errors[0] is not None
    assert "broken.mp4" in batch.errors[0]
    assert not batch.images_BCHW[0].any()
