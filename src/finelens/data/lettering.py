"""Lettering: words in pictures, in any script that a file's name may hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

INK, MUTED = "#1f2328", "#59636e"
# a shade darker than white, so that the edge of a white picture is seen
PAPER = "#f6f8fa"


def write_words(
    sheet: Image.Image,
    place: tuple[int, int],
    words: str,
    *,
    size_px: int,
    margin_px: int,
    ink: str = INK,
    is_bold: bool = False,
    is_mono: bool = False,
) -> None:
    """Write words on a sheet, cut off where they would come too near to its right edge.

    Args:
        sheet: Is drawn on.
        place: Left and top of the words, pixels.
        words: One line.
        size_px: Of the letters.
        margin_px: Between the words and the right edge.
        ink: Their colour.
        is_bold: Whether they are bold.
        is_mono: Whether all letters are equally wide.
    """
    font = _font(size_px, is_bold=is_bold, is_mono=is_mono)
    room = sheet.width - place[0] - margin_px
    while len(words) > 1 and font.getlength(words) > room:
        words = f"{words[:-2]}…"
    ImageDraw.Draw(sheet).text(place, words, font=font, fill=ink)


@cache
def _font(size: int, *, is_bold: bool, is_mono: bool) -> ImageFont.FreeTypeFont:
    # Pillow's own font knows ASCII only
    name = f"DejaVuSans{'Mono' if is_mono else ''}{'-Bold' if is_bold else ''}.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)
