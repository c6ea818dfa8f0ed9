"""The extent of pictures: how many pixels they have, of a sample of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from finelens.data.example import read_example
from finelens.data.images import picture_size
from finelens.errors import DataError

_MOST_READ = 256


def sample_sizes(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Return height and width, pixels, of at most 256 pictures spread evenly; none is decoded.

    They are those of the file: a picture that its EXIF data turn has them the other way round.
    A file whose beginning is damaged is left out.
    """
    stride = max(1, -(-len(paths) // _MOST_READ))
    sizes = (_told_size(path) for path in paths[::stride])
    return [size for size in sizes if size is not None]


def median_shorter_side(paths: Sequence[str], *, frames: int | None = None) -> int:
    """Return the median of the shorter sides, pixels, of at most 256 examples spread evenly.

    A picture is decoded only where its file's beginning does not tell.

    Args:
        paths: At least one readable picture or clip.
        frames: None: they are pictures; else clips, of which one frame is looked at.
    """
    stride = -(-len(paths) // _MOST_READ)
    shorter_sides = []
    for path in paths[::stride]:
        size = None if frames else _told_size(path)
        if size is None:
            # of a clip the first frame, behind which nothing is decoded
            first = read_example(path, frames=1, stride=1) if frames else read_example(path)
            size = first.shape[1:3]
        shorter_sides.append(min(size))
    return int(np.median(shorter_sides))


def _told_size(path: str) -> tuple[int, int] | None:
    """Return height and width as a picture file's beginning tells them, None where it does not."""
    try:
        return picture_size(path)
    except (DataError, Image.DecompressionBombError):
        return None
