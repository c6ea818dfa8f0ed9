"""The frame of a video as a person sees it."""

from __future__ import annotations

import functools

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from finelens.data.images import ImageArray

Matrix = tuple[int, int, int, int]
"""The first two rows and columns of a display matrix (a, b, c, d), in 16.16 fixed point."""

_MATRIX = "DISPLAYMATRIX"
_UPRIGHT: Matrix = (1, 0, 0, 1)


def to_picture(
    frame: VideoFrame, *, width: int, height: int, reformatter: VideoReformatter
) -> ImageArray:
    """Return a decoded frame as RGB, shape (H, W, 3), 0 to 255, turned as players turn it.

    Grey and deeper pixels become 8-bit RGB by the colour space the frame names (BT.601 where it
    names none), transparency lies on white. Pixels are taken as square, as they are stored;
    interlaced lines stay as they are.

    Args:
        frame: What the decoder gave.
        width: Pixels the frame is scaled to before it is turned; its own width for none.
        height: Likewise.
        reformatter: One for all frames of a video, used by one thread at a time: what converts a
            frame is made once.
    """
    has_alpha = _has_alpha(frame.format.name)
    # by itself it would start a thread a core: for a small frame that takes longer than to
    # convert it, and a process that forks meanwhile would wait for them without end
    converted = reformatter.reformat(
        frame, width, height, "rgba" if has_alpha else "rgb24", threads=1
    )
    pixels_HWC = converted.to_ndarray().astype(np.uint8, copy=False)
    picture = _over_white(pixels_HWC) if has_alpha else pixels_HWC
    return turn(picture, _matrix_of(frame))


def turn(picture: ImageArray, matrix: Matrix) -> ImageArray:
    """Return a picture mapped by (x, y) -> (a x + c y, b x + d y); nearest of the eight turns.

    ISO/IEC 14496-12, section 8.3.2, the matrix of a track header.
    """
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_rows, flip_columns = d < 0, a < 0
    else:
        picture = picture.swapaxes(0, 1)
        flip_rows, flip_columns = b < 0, c < 0
    if flip_rows:
        picture = picture[::-1]
    if flip_columns:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)


@functools.cache
def _has_alpha(pixel_format: str) -> bool:
    layout = VideoFormat(pixel_format)
    return layout.has_palette or any(part.is_alpha for part in layout.components)


def _matrix_of(frame: VideoFrame) -> Matrix:
    # frame.side_data would hold on to the frame, and the frame to it: pictures of many megabytes
    # would stay until the garbage is collected
    notes = SideDataContainer(frame)  # pyright: ignore[reportCallIssue]  # its stub is incomplete
    if not len(notes) or _MATRIX not in notes:
        return _UPRIGHT
    numbers = np.frombuffer(bytes(notes[_MATRIX]), dtype=np.int32)
    if numbers.size < 9 or not numbers[[0, 1, 3, 4]].any():
        return _UPRIGHT
    return int(numbers[0]), int(numbers[1]), int(numbers[3]), int(numbers[4])


def _over_white(pixels_HW4: ImageArray) -> ImageArray:
    alpha_HW1 = pixels_HW4[..., 3:].astype(np.uint16)
    if alpha_HW1.min() == 255:
        return pixels_HW4[..., :3]
    blended_HW3 = pixels_HW4[..., :3] * alpha_HW1 + 255 * (255 - alpha_HW1)
    return ((blended_HW3 + 127) // 255).astype(np.uint8)
