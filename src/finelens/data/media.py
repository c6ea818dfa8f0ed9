"""The medium of data: pictures or clips, told by the paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import polars as pl
from PIL import Image, UnidentifiedImageError

from finelens.data.clip_places import CLIP_EXTENSIONS
from finelens.errors import DataError

Medium = Literal["pictures", "clips"]

_VIDEOS = "|".join(name.removeprefix(".") for name in CLIP_EXTENSIONS if name != ".gif")
_MOST_LOOKED_AT = 16
_GIF = r"(?i)\.gif$"
_VIDEO = rf"(?i)\.({_VIDEOS}|gif)$"
# a folder of frames, some of its frames, an element of an array, a video
_CLIP = rf"(?i)(/|#\d+-\d+|\.np[yz]#(.+/)?\d+|\.({_VIDEOS}))$"


def is_video(column: str) -> pl.Expr:
    """Return whether the paths of a column are video files, GIFs included, by their names."""
    return pl.col(column).str.contains(_VIDEO)


def one_of(medium: Medium) -> str:
    """Return what messages call one row: ``picture`` or ``clip``."""
    return medium.removesuffix("s")


def counted(number: int, nouns: str) -> str:
    """Return a number of things: ``2 clips``, ``1 clip``."""
    return f"{number} {nouns.removesuffix('s') if number == 1 else nouns}"


def find_medium(table: pl.DataFrame) -> Medium:
    """Return what the paths of a manifest's table are.

    Videos, elements of arrays and folders of frames (which end in ``/``) are clips, all else are
    pictures. GIFs are what the others are. Where there are only GIFs, they are clips if a row
    has a span of time or one of sixteen, spread evenly over their names, is animated.

    Args:
        table: ``id`` and ``path``, and ``start_s`` and ``end_s``, of N rows; at least one.

    Raises:
        DataError: If there are both.
    """
    path = pl.col("path")
    kinds = table.select("id", "path", is_clip=path.str.contains(_CLIP),
                         is_gif=path.str.contains(_GIF))  # fmt: skip
    clips = kinds.filter("is_clip")
    pictures = kinds.filter(~pl.col("is_clip") & ~pl.col("is_gif"))
    if not (clips.is_empty() or pictures.is_empty()):
        raise DataError(
            f'the data mixes pictures ("{pictures["id"][0]}", {pictures.height} such) and clips '
            f'("{clips["id"][0]}", {clips.height} such); keep them in folders of their own'
        )
    if not clips.is_empty():
        return "clips"
    if not pictures.is_empty():
        return "pictures"
    has_span = table["start_s"].is_not_null().any() or table["end_s"].is_not_null().any()
    paths = table["path"].sort().to_list()
    looked_at = paths[:: -(-len(paths) // _MOST_LOOKED_AT)]
    return "clips" if has_span or count_animated(looked_at) else "pictures"


def count_animated(paths: Iterable[str]) -> int:
    """Return how many of some files are animated GIFs."""
    return sum(_is_animated(path) for path in paths)


def _is_animated(path: str) -> bool:
    if not path.lower().endswith(".gif"):
        return False
    try:
        with Image.open(path) as image:
            return getattr(image, "is_animated", False)
    except (OSError, UnidentifiedImageError, SyntaxError):
        # whoever reads it says what is wrong
        return False
