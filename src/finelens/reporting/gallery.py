"""The gallery: small pictures for the page, each stored once whatever the lists that show it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageOps

from finelens.data.images import read_image
from finelens.errors import DataError

THUMBNAIL_SIZE_PX = 112
BUDGET_BYTES = 6_000_000
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
        about: The classes under which a reader looks for it.
        note: Words below a mistake, such as the classes that are true of it; else empty.
        is_decided: Whether the model says that the class is present.
    """

    path: str
    id: str
    class_name: str
    probability: float
    label: bool | None
    about: tuple[str, ...]
    note: str = ""
    is_decided: bool = True


@dataclass
class Gallery:
    """Lists of pictures, and the thumbnails they share.

    Attributes:
        budget_bytes: What all thumbnails together may take in the page.
    """

    budget_bytes: int = BUDGET_BYTES
    _place: dict[str, int] = field(default_factory=dict)
    _pictures: list[str] = field(default_factory=list)
    _spent_bytes: int = 0

    def add(self, shown: Sequence[Shown]) -> list[dict[str, Any]]:
        """Return pictures as the page's script reads them, having stored their thumbnails.

        An unreadable file keeps its row and shows as a blank. Where the budget ends, this row
        and all later ones are left out: the list that comes back is then shorter.
        """
        missing = list(dict.fromkeys(one.path for one in shown if one.path not in self._place))
        rows = []
        with ThreadPoolExecutor(max_workers=4) as threads:
            # a block at a time, so that a spent budget does not decode the rest
            for start in range(0, len(missing), 64):
                block = missing[start : start + 64]
                for path, picture in zip(block, threads.map(thumbnail, block), strict=True):
                    self._store(path, picture)
                if self._spent_bytes >= self.budget_bytes:
                    break
        for one in shown:
            if one.path not in self._place:
                break
            rows.append(self._row(one))
        return rows

    def content(self) -> list[str]:
        """Return the thumbnails as data URIs, in the order that rows' ``picture`` counts."""
        return self._pictures

    def _store(self, path: str, picture: str | None) -> None:
        if picture is None:
            self._place[path] = -1
            return
        if self._spent_bytes + len(picture) > self.budget_bytes:
            self._spent_bytes = self.budget_bytes
            return
        self._spent_bytes += len(picture)
        self._place[path] = len(self._pictures)
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


def thumbnail(path: str) -> str | None:
    """Return the square middle of a picture as a JPEG data URI, or None if it is unreadable."""
    try:
        image = Image.fromarray(read_image(path))
    except DataError:
        return None
    size = (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    buffer = io.BytesIO()
    square = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    square.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
