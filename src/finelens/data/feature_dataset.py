"""The dataset of features: what a frozen backbone made of every view, by key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from finelens.data.dataset import Batch, OnError, SampleKey


class FeatureDataset:
    """Features of N pictures or clips in V views, for a loader; nothing is decoded.

    Args:
        features_VNX: float32, whatever a view has; may be a memory map.
        targets_NK: Target rows, values 1, 0 or NaN.
    """

    on_error: OnError = "raise"

    def __init__(self, features_VNX: NDArray[np.float32], targets_NK: NDArray[np.float32]) -> None:
        self._features_VNX = features_VNX
        self._targets_NK = targets_NK

    def __len__(self) -> int:
        return len(self._targets_NK)

    def read_batch(self, keys: Sequence[SampleKey], *, pin_memory: bool = False) -> Batch:
        """Return the batch of B keys (seed, view, index), whose views are rows of features."""
        views, indices = (np.array(part) for part in list(zip(*keys, strict=True))[1:])
        features_BX = torch.from_numpy(self._features_VNX[views, indices])
        return Batch(
            features_BX.pin_memory() if pin_memory else features_BX,
            torch.from_numpy(self._targets_NK[indices]),
            torch.from_numpy(indices),
            errors=(None,) * len(keys),
            notes=(None,) * len(keys),
        )
