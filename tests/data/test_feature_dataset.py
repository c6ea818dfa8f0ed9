import numpy as np
import torch

from finelens.data.feature_dataset import FeatureDataset
from finelens.data.loader import Loader

FEATURES_VNP = np.random.default_rng(0).standard_normal((3, 11, 5)).astype(np.float32)
TARGETS_NK = np.eye(11, 4, dtype=np.float32)


def make_loader():
    dataset = FeatureDataset(FEATURES_VNP, TARGETS_NK)
    return Loader(dataset, batch_size=4, shuffle=True, seed=7, num_views=3)


def test_each_epoch_gives_the_features_of_its_view():
    loader = make_loader()
    for epoch in range(7):
        seen = []
        for batch in loader.epoch(epoch):
            rows = batch.indices_B.numpy()
            assert batch.images_BCHW.dtype == torch.float32
            np.testing.assert_array_equal(batch.images_BCHW, FEATURES_VNP[epoch % 3, rows])
            np.testing.assert_array_equal(batch.targets_BK, TARGETS_NK[rows])
            assert batch.errors == batch.notes == (None,) * len(rows)
            seen += rows.tolist()
        assert sorted(seen) == list(range(11))


def test_what_is_done_to_a_batch_leaves_the_features_as_they_are(tmp_path):
    np.save(tmp_path / "features.npy", FEATURES_VNP)
    features_VNP = np.load(tmp_path / "features.npy", mmap_mode="r")
    batch = FeatureDataset(features_VNP, TARGETS_NK).read_batch([(0, 1, 2), (0, 0, 10)])
    batch.images_BCHW.zero_()
    batch.targets_BK.zero_()
    np.testing.assert_array_equal(features_VNP, FEATURES_VNP)
    assert TARGETS_NK[2, 2] == 1
