"""Heat, drawn: colours over grey pictures, where a network looked."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from finelens.data.box import Box
from finelens.data.heat_map import HeatMap
from finelens.data.lettering import MUTED, PAPER, write_words

COLOURS = "inferno"
"""matplotlib's: even in lightness, and so to the colour-blind, and in grey."""

MOST_FRAMES = 12
"""Frames of a clip on a sheet."""

_STRENGTH, _RISE = 0.75, 0.7
_WHOLE = Box(0, 0, 1, 1)
_VEIL = 0.6
_MARGIN, _GAP, _TITLE_HEIGHT, _CAPTION_HEIGHT, _SCALE_HEIGHT = 32, 12, 76, 24, 46
_PICTURE_PX, _FRAME_PX, _FRAMES_A_ROW = 480, 216, 4


def draw_views(heat: HeatMap, *, side_px: int) -> list[Image.Image]:
    """Return heat over what the network saw, square, one picture a frame.

    The picture is grey, and the hotter a place the more of its colour is that of ``COLOURS``.

    Args:
        heat: Of a picture or a clip.
        side_px: Of the pictures.
    """
    size = (side_px, side_px)
    return [
        _heated(_scaled(view_SSC, size), _spread(heat_SS, size))
        for view_SSC, heat_SS in zip(heat.views_TSSC, heat.heat_TSS, strict=True)
    ]


def draw_pictures(heat: HeatMap, *, longest_px: int) -> list[Image.Image]:
    """Return heat over the whole picture, or each whole frame: see ``draw_views``.

    What the network did not see is veiled.

    Args:
        heat: Of a picture or a clip.
        longest_px: The longer side of the pictures.
    """
    seen = _seen(heat, longest_px)
    return [
        _veiled(_draw_heat(_scaled(picture_HWC, seen.size), heat_SS, seen), seen)
        for picture_HWC, heat_SS in zip(heat.pictures_THWC, heat.heat_TSS, strict=True)
    ]


def draw_heat_sheet(heat: HeatMap, *, title: str, subtitle: str) -> Image.Image:
    """Return a picture beside its heat, or a clip's frames above theirs, with words and a scale.

    A clip of more than ``MOST_FRAMES`` frames shows as many, evenly spread.

    Args:
        heat: Of a picture or a clip.
        title: In large letters.
        subtitle: Below it.
    """
    chosen = np.linspace(0, heat.num_frames - 1, min(heat.num_frames, MOST_FRAMES)).round()
    frames = [int(frame) for frame in chosen]
    shown = HeatMap(
        heat.pictures_THWC[frames], heat.views_TSSC[frames], heat.heat_TSS[frames], heat.box
    )
    is_clip = heat.num_frames > 1
    seen = _seen(shown, _FRAME_PX if is_clip else _PICTURE_PX)
    before = [_veiled(_scaled(picture_HWC, seen.size), seen) for picture_HWC in shown.pictures_THWC]
    after = draw_pictures(shown, longest_px=max(seen.size))
    body = _frames_body(before, after, frames) if is_clip else _side_by_side(before[0], after[0])
    width = max(body.width, 2 * _PICTURE_PX) + 2 * _MARGIN
    height = _MARGIN + _TITLE_HEIGHT + body.height + _SCALE_HEIGHT + _MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    _write(sheet, (_MARGIN, _MARGIN - 8), title, size_px=28, is_bold=True)
    _write(sheet, (_MARGIN, _MARGIN + 32), subtitle, size_px=16, ink=MUTED)
    sheet.paste(body, (_MARGIN, _MARGIN + _TITLE_HEIGHT))
    _draw_scale(sheet, _MARGIN + _TITLE_HEIGHT + body.height + _GAP)
    return sheet


class _Seen(NamedTuple):
    """What of a picture of a size (width, height) the network saw."""

    size: tuple[int, int]
    place: tuple[int, int, int, int]
    """Left, top, right and bottom in the picture, which holds them."""
    part: Box
    """The same, in the view of side 1."""


def _seen(heat: HeatMap, longest_px: int) -> _Seen:
    height, width = heat.pictures_THWC.shape[1:3]
    scale = longest_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    box, x_scale, y_scale = heat.box, size[0] / width, size[1] / height
    left, right = (round(min(max(x, 0), width) * x_scale) for x in (box.left, box.right))
    top, bottom = (round(min(max(y, 0), height) * y_scale) for y in (box.top, box.bottom))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    part = Box(
        (left / x_scale - box.left) / box.width, (top / y_scale - box.top) / box.height,
        (right / x_scale - box.left) / box.width, (bottom / y_scale - box.top) / box.height,
    )  # fmt: skip
    return _Seen(size, (left, top, right, bottom), part)


def _draw_heat(picture: Image.Image, heat_SS: NDArray[np.float32], seen: _Seen) -> Image.Image:
    left, top, right, bottom = seen.place
    heated = _heated(
        picture.crop(seen.place), _spread(heat_SS, (right - left, bottom - top), seen.part)
    )
    grey = picture.convert("L").convert("RGB")
    grey.paste(heated, (left, top))
    return grey


def _heated(picture: Image.Image, heat_HW: NDArray[np.float32]) -> Image.Image:
    grey_HW1 = np.asarray(picture.convert("L"), dtype=np.float32)[..., None]
    colour_HW3 = 255 * mpl.colormaps[COLOURS](heat_HW)[..., :3]
    share_HW1 = _STRENGTH * (heat_HW**_RISE)[..., None]
    mixed_HW3 = (1 - share_HW1) * grey_HW1 + share_HW1 * colour_HW3
    return Image.fromarray(mixed_HW3.round().astype(np.uint8))


def _spread(
    heat_SS: NDArray[np.float32], size: tuple[int, int], part: Box = _WHOLE
) -> NDArray[np.float32]:
    side = len(heat_SS)
    left, right = (min(max(edge, 0.0), 1.0) * side for edge in (part.left, part.right))
    top, bottom = (min(max(edge, 0.0), 1.0) * side for edge in (part.top, part.bottom))
    resized = Image.fromarray(heat_SS).resize(
        size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
    return np.asarray(resized).clip(0, 1)


def _scaled(picture_HWC: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture_HWC).resize(size, Image.Resampling.LANCZOS)


def _veiled(picture: Image.Image, seen: _Seen) -> Image.Image:
    """Return a picture with a veil over what was not seen, and a line around the rest."""
    left, top, right, bottom = seen.place
    if (left, top, right, bottom) == (0, 0, *seen.size):
        return picture
    veiled = Image.blend(picture, Image.new("RGB", picture.size, PAPER), _VEIL)
    veiled.paste(picture.crop(seen.place), (left, top))
    ImageDraw.Draw(veiled).rectangle((left, top, right - 1, bottom - 1), outline="white")
    return veiled


def _side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    body = Image.new("RGB", (2 * before.width + _GAP, before.height), PAPER)
    body.paste(before, (0, 0))
    body.paste(after, (before.width + _GAP, 0))
    return body


def _frames_body(
    before: list[Image.Image], after: list[Image.Image], frames: list[int]
) -> Image.Image:
    width, height = before[0].size
    columns = min(len(frames), _FRAMES_A_ROW)
    row_height = _CAPTION_HEIGHT + 2 * height + _GAP
    num_rows = -(-len(frames) // columns)
    body = Image.new("RGB", (columns * (width + _GAP) - _GAP, num_rows * row_height), PAPER)
    for place, frame in enumerate(frames):
        left, top = place % columns * (width + _GAP), place // columns * row_height
        write_words(body, (left, top), f"frame {frame + 1}", size_px=14, margin_px=0, ink=MUTED)
        body.paste(before[place], (left, top + _CAPTION_HEIGHT))
        body.paste(after[place], (left, top + _CAPTION_HEIGHT + height))
    return body


def _draw_scale(sheet: Image.Image, top: int) -> None:
    steps = np.linspace(0, 1, 200, dtype=np.float32)
    bar = _heated(Image.new("RGB", (200, 14), "#808080"), np.tile(steps, (14, 1)))
    _write(sheet, (_MARGIN, top), "speaks for it: nothing", size_px=14, ink=MUTED)
    sheet.paste(bar, (_MARGIN + 172, top + 2))
    _write(sheet, (_MARGIN + 382, top), "most", size_px=14, ink=MUTED)


_write = partial(write_words, margin_px=_MARGIN)
