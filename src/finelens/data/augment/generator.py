"""The generator of a sample: all randomness of loading is its."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """Return the random generator of a sample in an epoch: all randomness of loading is its.

    Counter-based (Philox; Salmon et al. 2011): it depends on the three numbers alone, each 0 or
    more and below 2**64, and the draws of two samples never overlap.
    """
    counter = np.array([0, 0, epoch, index], dtype=np.uint64)
    return Generator(np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=counter))
