"""The gallery: small pictures for the page, each stored once whatever the lists that show it."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from finelens.data.example import read_example
from finelens.data.images import read_image
from finelens.data.media import is_clip_place
from finelens.errors import DataError

THUMBNAIL_SIZE_PX = 112
_JPEG_QUALITY = 68


@dataclass(frozen=True)
class Shown:
    """One picture in a list.

    Attributes:
        path: Its file.
        id: What the reader sees of the path.
        class_name: The class it is ranked for.
        probability: Of that class, in [0, 1].
        label: Whether the class is true of it; None is unknown.
        about: For a mistake, the classes under which a reader looks for it.
        note: Words below a mistake, such as the classes that are true of it; else empty.
        is_decided: Whether the model says that the class is present.
    """

    path: str
    id: str
    class_name: str
    probability: float
    label: bool | None
    about: tuple[str, ...] = ()
    note: str = ""
    is_decided: bool = True


class Gallery:
    """Thumbnails that several lists of pictures share."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}
        self._pictures: list[str] = []

    def add(self, shown: Sequence[Shown], *, budget_bytes: int) -> list[dict[str, Any]]:
        """Return pictures as the page's script reads them, having stored their thumbnails.

        An unreadable file keeps its row and shows as a blank.

        Args:
            shown: The list, in its order.
            budget_bytes: What thumbnails that no earlier list has stored may take in the page.
                Where it ends, so does the list that comes back.
        """
        missing = list(dict.fromkeys(one.path for one in shown if one.path not in self._place))
        with ThreadPoolExecutor(max_workers=4) as threads:
            # a block at a time, so that a spent budget does not decode the rest
            for start in range(0, len(missing), 64):
                block = missing[start : start + 64]
                pictures = threads.map(thumbnail, block)
                for path, picture in zip(block, pictures, strict=True):
                    budget_bytes -= len(picture or "")
                    if budget_bytes >= 0:
                        self._store(path, picture)
                if budget_bytes < 0:
                    break
        known = itertools.takewhile(lambda one: one.path in self._place, shown)
        return [self._row(one) for one in known]

    def content(self) -> list[str]:
        """Return the thumbnails as data URIs, in the order that rows' ``picture`` counts."""
        return self._pictures

    @property
    def num_bytes(self) -> int:
        """Return what the thumbnails take in the page."""
        return sum(map(len, self._pictures))

    def _store(self, path: str, picture: str | None) -> None:
        self._place[path] = -1 if picture is None else len(self._pictures)
        if picture is not None:
            self._pictures.append(picture)

    def _row(self, one: Shown) -> dict[str, Any]:
        return {
            "class": one.class_name,
            "id": one.id,
            "probability": round(one.probability, 4),
            "label": one.label,
            "about": one.about,
            "note": one.note,
            "decided": one.is_decided,
            "picture": self._place[one.path],
        }


def by_rank(lists: Iterable[Sequence[Shown]]) -> list[Shown]:
    """Return the first of every list, then the second of every list, and so on.

    Where a gallery's budget ends, every class has then lost as many.
    """
    held = [list(one) for one in lists]
    longest = max((len(one) for one in held), default=0)
    return [one[rank] for rank in range(longest) for one in held if rank < len(one)]


def _four_frames(place: str) -> Image.Image:
    frames = [Image.fromarray(frame_HWC) for frame_HWC in read_example(place, frames=4)]
    width, height = frames[0].size
    sheet = Image.new("RGB", (2 * width, 2 * height))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number % 2 * width, number // 2 * height))
    return sheet


def thumbnail(path: str) -> str | None:
    """Return the square middle of a picture as a JPEG data URI, or None if it is unreadable.

    Of a clip: four of its frames, in reading order.
    """
    try:
        image = _four_frames(path) if is_clip_place(path) else Image.fromarray(read_image(path))
    except DataError:
        return None
    size = (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    buffer = io.BytesIO()
    square = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    square.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
