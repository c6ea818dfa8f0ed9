"""The display: progress bars and tables in a terminal, plain lines where there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from finelens.progress import Advance, spoken_duration

# of several training processes one speaks
CONSOLE = Console(highlight=False, quiet=os.environ.get("RANK", "0") != "0")
ERRORS = Console(stderr=True, highlight=False)


class Display:
    """Shows each stage as a bar with rate, remaining time and note; finished lines stay."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=CONSOLE,
            transient=True,
            disable=not CONSOLE.is_terminal,
        )

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Show a bar until the stage ends."""
        task = self._bars.add_task(title, total=total, note="")
        self._bars.start()

        def advance(num_items: int, note: str) -> None:
            self._bars.update(task, advance=num_items, note=note)

        try:
            yield advance
        finally:
            self._bars.remove_task(task)
            self._bars.stop()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        CONSOLE.print(line, markup=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Items a second over the bar's recent past."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __str__(self) -> str:
        return spoken_duration(time.perf_counter() - self._began)
