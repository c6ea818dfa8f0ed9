"""The interruption: Ctrl-C and SIGTERM as a wish that training grants at the next update."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from finelens.errors import FinelensError
from finelens.progress import Advance, Progress


class Interrupted(FinelensError):  # noqa: N818  # told as news, not as a mistake
    """Training was asked to stop; it can go on later from the state that it saved last."""


class Interruption:
    """A context in which the first Ctrl-C or SIGTERM only sets ``is_wanted``.

    A second Ctrl-C raises KeyboardInterrupt at once. Outside the main thread, where Python
    allows no handlers, signals do what they always did.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True


class Heedful:
    """A progress that ends the work it shows, between two steps, once that is wanted."""

    def __init__(self, progress: Progress, interruption: Interruption) -> None:
        self._progress = progress
        self._interruption = interruption

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Enter a stage whose advance raises Interrupted once a stop is wanted."""
        with self._progress.stage(title, total) as advance:

            def heed(num_items: int, note: str) -> None:
                advance(num_items, note)
                if self._interruption.is_wanted:
                    raise Interrupted(f"stopped during {title}")

            yield heed

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self._progress.say(line)
