"""Steps called by themselves, and pictures for them."""

import numpy as np
import pytest
import torch

from finelens.data.augment.generator import sample_generator
from finelens.data.augment.steps import build_steps
from finelens.data.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(32, (0.2, 0.4, 0.6), (1.0, 1.0, 1.0))


@pytest.fixture
def noise():
    """Return a function from a size and a seed to a picture of unrelated values, (3, H, W)."""

    def draw(height=30, width=41, seed=0):
        values = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
        return torch.from_numpy(values)

    return draw


@pytest.fixture
def apply():
    """Return a function that calls one step with its settings under the draws of an index."""

    built = {}

    def call(name, picture, index=0, **settings):
        key = repr((name, settings))
        if key not in built:
            [built[key]] = build_steps([{name: settings}])
        return built[key](picture, sample_generator(1, 2, index), PREPROCESSING)

    return call
