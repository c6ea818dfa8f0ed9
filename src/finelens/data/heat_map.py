"""The heat map: where in a picture, or in the frames of a clip, a network looked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finelens.data.box import Box


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Heat over the views that a network saw; T is 1 of a picture.

    Attributes:
        pictures_THWC: The whole picture, a big JPEG at the part of its size that it was decoded
            at, or a clip's frames, uint8 (T, H, W, 3).
        views_TSSC: What the network saw of them, uint8 (T, S, S, 3).
        heat_TSS: float32 in [0, 1]; 1 at the hottest place of all frames, or 0 everywhere where
            nothing spoke for what was looked for.
        box: What of the whole picture a view shows; beyond the picture where it was padded.
    """

    pictures_THWC: NDArray[np.uint8]
    views_TSSC: NDArray[np.uint8]
    heat_TSS: NDArray[np.float32]
    box: Box

    @property
    def num_frames(self) -> int:
        """Return T."""
        return len(self.views_TSSC)

    @property
    def is_cold(self) -> bool:
        """Return whether nothing spoke for what was looked for."""
        return not self.heat_TSS.any()
