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
