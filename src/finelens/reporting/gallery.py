"""The gallery: small pictures for the page, each stored once whatever the lists that show it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from finelens.data.example import Span
from finelens.reporting.thumbnail import Strip, thumbnail


@dataclass(frozen=True)
class Shown:
    """One picture or clip in a list.

    Attributes:
        path: Its file, or a clip's place.
        id: What the reader sees of the path.
        class_name: The class it is ranked for.
        probability: Of that class, in [0, 1].
        label: Whether the class is true of it; None is unknown.
        about: For a mistake, the classes under which a reader looks for it.
        note: Words below a mistake, such as the classes that are true of it; else empty.
        is_decided: Whether the model says that the class is present.
        span: The part of its video that is the clip, seconds.
    """

    path: str
    id: str
    class_name: str
    probability: float
    label: bool | None
    about: tuple[str, ...] = ()
    note: str = ""
    is_decided: bool = True
    span: Span = (None, None)

    @property
    def source(self) -> tuple[str, Span]:
        """Return what its thumbnail is made of: several clips may lie in one file."""
        return self.path, self.span


class Gallery:
    """Thumbnails that several lists of pictures, or of clips, share.

    Args:
        strip: Which frames of clips are shown; None: they are pictures.
    """

    def __init__(self, strip: Strip | None = None) -> None:
        self._draw = partial(thumbnail, strip=strip)
        self._place: dict[tuple[str, Span], int] = {}
        self._pictures: list[str] = []

    def add(self, shown: Sequence[Shown], *, budget_bytes: int) -> list[dict[str, Any]]:
        """Return pictures as the page's script reads them, having stored their thumbnails.

        An unreadable file keeps its row and shows as a blank.

        Args:
            shown: The list, in its order.
            budget_bytes: What thumbnails that no earlier list has stored may take in the page.
                Where it ends, so does the list that comes back.
        """
        missing = list(dict.fromkeys(one.source for one in shown if one.source not in self._place))
        with ThreadPoolExecutor(max_workers=4) as threads:
            # a block at a time, so that a spent budget does not decode the rest
            for start in range(0, len(missing), 64):
                block = missing[start : start + 64]
                pictures = threads.map(self._draw, *zip(*block, strict=True))
                for source, picture in zip(block, pictures, strict=True):
                    budget_bytes -= len(picture or "")
                    if budget_bytes >= 0:
                        self._store(source, picture)
                if budget_bytes < 0:
                    break
        known = itertools.takewhile(lambda one: one.source in self._place, shown)
        return [self._row(one) for one in known]

    def content(self) -> list[str]:
        """Return the thumbnails as data URIs, in the order that rows' ``picture`` counts."""
        return self._pictures

    @property
    def num_bytes(self) -> int:
        """Return what the thumbnails take in the page."""
        return sum(map(len, self._pictures))

    def _store(self, source: tuple[str, Span], picture: str | None) -> None:
        self._place[source] = -1 if picture is None else len(self._pictures)
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
            "picture": self._place[one.source],
        }


def by_rank(lists: Iterable[Sequence[Shown]]) -> list[Shown]:
    """Return the first of every list, then the second of every list, and so on.

    Where a gallery's budget ends, every class has then lost as many.
    """
    held = [list(one) for one in lists]
    longest = max((len(one) for one in held), default=0)
    return [one[rank] for rank in range(longest) for one in held if rank < len(one)]
