"""The thumbnail: an item of the run's data, small enough for a page."""

from __future__ import annotations

import io

from PIL import Image

from finelens.data.example import Span, read_example
from finelens.data.images import REDUCING_GAP

_JPEG_QUALITY = 85
_WEBP_QUALITY = 85
_STILLS = 4
_MOVING_FRAMES = 16
_FRAME_MS = 125


def draw_thumbnail(
    path: str, span: Span, *, is_clip: bool, longest_px: int, is_moving: bool
) -> bytes:
    """Return a picture as a JPEG; of a clip four frames in reading order, or a moving WebP.

    Args:
        path: A picture, or a clip's place.
        span: Of a clip.
        is_clip: Whether it is one.
        longest_px: The longer side, pixels, which is never made larger than it is.
        is_moving: Whether a clip plays: 16 frames spread over it, in two seconds, again and again.

    Raises:
        DataError: If it cannot be read; the message begins with the path.
    """
    num_frames = (_MOVING_FRAMES if is_moving else _STILLS) if is_clip else None
    frames_THWC = read_example(
        path, span, frames=num_frames, least_side=round(REDUCING_GAP * longest_px)
    )
    pictures = [Image.fromarray(frame_HWC) for frame_HWC in frames_THWC]
    buffer = io.BytesIO()
    if is_clip and is_moving:
        shown = [_within(picture, longest_px) for picture in pictures]
        shown[0].save(
            buffer,
            "WEBP",
            save_all=True,
            append_images=shown[1:],
            duration=_FRAME_MS,
            loop=0,
            quality=_WEBP_QUALITY,
        )
        return buffer.getvalue()
    picture = _sheet(pictures) if is_clip else pictures[0]
    _within(picture, longest_px).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def media_type(thumbnail: bytes) -> str:
    """Return the media type of what ``draw_thumbnail`` gave."""
    return "image/webp" if thumbnail.startswith(b"RIFF") else "image/jpeg"


def _within(picture: Image.Image, longest_px: int) -> Image.Image:
    picture = picture.copy()
    picture.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    return picture


def _sheet(frames: list[Image.Image]) -> Image.Image:
    width, height = frames[0].size
    sheet = Image.new("RGB", (2 * width, 2 * height))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number % 2 * width, number // 2 * height))
    return sheet
