"""The extent of pictures: how many pixels they have, of a sample of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from finelens.data.example import read_example

_MOST_READ = 256


def sample_sizes(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Return height and width, pixels, of at most 256 pictures spread evenly; none is decoded.

    They are those of the file: a picture that its EXIF data turn has them the other way round.
    A file whose beginning is damaged is left out.
    """
    stride = max(1, -(-len(paths) // _MOST_READ))
    sizes = []
    for path in paths[::stride]:
        try:
            with Image.open(path) as image:
                sizes.append((image.height, image.width))
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            continue
    return sizes


def median_shorter_side(paths: Sequence[str], *, frames: int | None = None) -> int:
    """Return the median of the shorter sides, pixels, of at most 256 examples spread evenly.

    Args:
        paths: At least one readable picture or clip.
        frames: None: they are pictures; else clips, of which one frame is looked at.
    """
    stride = -(-len(paths) // _MOST_READ)
    shorter_sides = []
    for path in paths[::stride]:
        # of a clip the first frame, behind which nothing is decoded
        first = read_example(path, frames=1, stride=1) if frames else read_example(path)
        height, width = first.shape[1:3]
        shorter_sides.append(min(height, width))
    return int(np.median(shorter_sides))
