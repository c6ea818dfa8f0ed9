"""The thumbnail: a picture small enough for the page, or a clip's frames side by side."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from finelens.data.example import Span, read_example
from finelens.data.images import REDUCING_GAP
from finelens.errors import DataError

THUMBNAIL_SIZE_PX = 112
STRIP_FRAMES = 5
FRAME_WIDTH_PX = 96
_JPEG_QUALITY = 68
_NARROWEST, _WIDEST = 3 / 4, 4 / 3


@dataclass(frozen=True)
class Strip:
    """Which frames of a clip its thumbnail shows, in the order of time.

    Attributes:
        frames: How many.
        stride: Every so many; None: evenly spread over the clip.
        start: Frames left out at the clip's beginning.
    """

    frames: int
    stride: int | None = None
    start: int = 0

    @classmethod
    def of_model(
        cls, frames: int | None, *, stride: int | None = None, start: int = 0
    ) -> Strip | None:
        """Return the strip over what a model sees of a clip, or None where it sees pictures.

        Args:
            frames: T of the model's preprocessing; None: it sees pictures.
            stride: Of the model's preprocessing.
            start: Of the model's preprocessing.
        """
        if frames is None:
            return None
        shown = min(frames, STRIP_FRAMES)
        if stride is not None and shown > 1:
            stride = max(1, (frames - 1) * stride // (shown - 1))
        return cls(shown, stride, start)


def thumbnail(path: str, span: Span = (None, None), *, strip: Strip | None = None) -> str | None:
    """Return a JPEG data URI, or None where nothing can be read.

    Of a picture its square middle. Of a clip the frames of ``strip`` from left to right, each
    ``FRAME_WIDTH_PX`` wide and as high as its shape asks; of frames beyond 4:3 or 3:4 the
    middle.

    Args:
        path: A picture, or a clip's place.
        span: The part of a video that is the clip, seconds.
        strip: Which frames; None: it is a picture.
    """
    try:
        frames_THWC = read_example(
            path,
            span,
            **(asdict(strip) if strip else {}),
            least_side=round(REDUCING_GAP * THUMBNAIL_SIZE_PX),
        )
    except DataError:
        return None
    size = _frame_size(frames_THWC) if strip else (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    buffer = io.BytesIO()
    _side_by_side(frames_THWC, size).save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _frame_size(frames_THWC: NDArray[np.uint8]) -> tuple[int, int]:
    height, width = frames_THWC.shape[1:3]
    shape = min(max(width / height, _NARROWEST), _WIDEST)
    return FRAME_WIDTH_PX, round(FRAME_WIDTH_PX / shape)


def _side_by_side(frames_THWC: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    sheet = Image.new("RGB", (len(frames_THWC) * size[0], size[1]))
    for place, frame_HWC in enumerate(frames_THWC):
        small = ImageOps.fit(Image.fromarray(frame_HWC), size, Image.Resampling.BILINEAR)
        sheet.paste(small, (place * size[0], 0))
    return sheet
