"""The extent of pictures: how many pixels they have, read from their headers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

_MOST_READ = 256


def median_shorter_side(paths: Sequence[str]) -> int:
    """Return the median of the shorter sides, pixels, of at most 256 pictures spread evenly.

    Only headers are read.

    Args:
        paths: At least one readable picture.
    """
    stride = -(-len(paths) // _MOST_READ)
    shorter_sides = []
    for path in paths[::stride]:
        with Image.open(path) as picture:
            shorter_sides.append(min(picture.size))
    return int(np.median(shorter_sides))
