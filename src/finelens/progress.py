"""Progress: how long work tells how far it is, whoever is watching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int, str], None]
"""Called with the number of items just done and a note to show beside the bar."""


class Progress(Protocol):
    """Shows stages of work and finished lines."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Enter a stage of ``total`` items; the value of the context advances it."""
        ...

    def say(self, line: str) -> None:
        """Show a line that stays."""
        ...


class Silent:
    """Progress that nobody watches: the Python API's default."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Enter a stage and show nothing."""
        del title, total
        yield lambda _num_items, _note: None

    def say(self, line: str) -> None:
        """Show nothing."""
        del line


def spoken_duration(seconds: float) -> str:
    """Return a duration such as ``47 s`` or ``8 min 20 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
