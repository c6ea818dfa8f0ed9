"""The extent of pictures: how many pixels they have, of a sample of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finelens.data.images import read_image

_MOST_READ = 256


def median_shorter_side(paths: Sequence[str]) -> int:
    """Return the median of the shorter sides, pixels, of at most 256 pictures spread evenly.

    Args:
        paths: At least one readable picture.
    """
    stride = -(-len(paths) // _MOST_READ)
    shorter_sides = []
    for path in paths[::stride]:
        height, width, _ = read_image(path).shape
        shorter_sides.append(min(height, width))
    return int(np.median(shorter_sides))
