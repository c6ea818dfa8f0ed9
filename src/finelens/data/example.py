"""The example: what lies at a manifest's path, as the pictures it is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finelens.data.clips import Clip, read_clip
from finelens.data.images import read_image
from finelens.data.sampling import Sampling

Span = tuple[float | None, float | None]
"""Start and end of a clip in its video, seconds; None: the video's own."""


def read_example(
    path: str,
    span: Span = (None, None),
    *,
    frames: int | None = None,
    stride: int | None = None,
    start: int = 0,
    least_side: int | None = None,
) -> NDArray[np.uint8]:
    """Return the pictures at a path, uint8 of shape (T, H, W, 3); T is 1 for a picture.

    Args:
        path: A picture, or a clip's place; see ``parse_place``.
        span: Of a video: the part that is the example.
        frames: T of a clip; None: it is a picture.
        stride: Every so many frames of a clip; None: evenly spread over it.
        start: Frames of a clip that are left out at its beginning.
        least_side: Of a picture that is a big JPEG, see ``decode_image``; frames have full size.

    Raises:
        DataError: If it cannot be read; the message begins with the path.
    """
    if frames is None:
        return read_image(path, least_side=least_side)[None]
    return read_example_clip(path, span, frames=frames, stride=stride, start=start).frames_THWC


def read_example_clip(
    path: str, span: Span, *, frames: int, stride: int | None = None, start: int = 0
) -> Clip:
    """Return the clip at a place, with what a person should know of its file.

    Arguments and errors are those of ``read_example``.
    """
    start_s, end_s = span
    return read_clip(path, Sampling(frames, stride, start), start_s=start_s, end_s=end_s)
