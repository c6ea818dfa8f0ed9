"""The gate: a contender waits here for its turn, and tells what its round took.

Needs the standard library alone: the peers' interpreter has no finelens. On standard input come
lines ``go``; for each, one line of JSON goes out. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any


class Gate:
    """One contender's side of the line protocol.

    Args:
        packages: Distributions whose versions are told when it is ready.
    """

    def __init__(self, *packages: str) -> None:
        self._packages = packages
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def ready(self) -> None:
        """Say that everything is prepared, and in which versions."""
        self._say(versions={name: metadata.version(name) for name in self._packages})

    def wait(self) -> bool:
        """Return whether another round is wanted."""
        return sys.stdin.readline().strip() == "go"

    def answer(self, value: float, unit: str, **extra: Any) -> None:
        """Tell what a round took."""
        self._say(value=value, unit=unit, extra=extra)

    def _say(self, **content: Any) -> None:
        self._answers.write(json.dumps(content) + "\n")
        self._answers.flush()


def serve(gate: Gate, work: Callable[[], int], unit: str) -> None:
    """Run ``work`` once uncounted, then once a round; it returns how many items it did."""
    work()
    gate.ready()
    while gate.wait():
        started = time.perf_counter()
        num_items = work()
        gate.answer(num_items / (time.perf_counter() - started), unit)


class UpdateRounds:
    """Rounds within a training loop of somebody else, which calls this after every update.

    Between two rounds the call does not return, so the loop stands still. Loader processes read
    ahead meanwhile, until their queues are full: the first ``drain`` updates of a round take as
    many batches as were waiting then, and are not counted.

    Args:
        gate: Where the rounds come from.
        drain: Updates before the clock starts.
        counted: Updates that are timed.
        parts: Such spans in a round, one after the other, as of phases at different sizes.
        settle: Waits for what a GPU has yet to do, before a clock is read; None: there is none.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        drain: int,
        counted: int,
        parts: int = 1,
        settle: Callable[[], object] | None = None,
    ) -> None:
        self._gate = gate
        self._settle = settle
        self._drain = drain
        self._counted = counted
        self._parts = parts
        self._num_parts = 0
        self._num_updates = 0
        self._num_items = 0
        self._is_warm = False
        self._started = 0.0
        self._seconds = 0.0

    def after_update(self, num_items: int) -> None:
        """Note an update of so many pictures.

        Raises:
            SystemExit: If no further round is wanted.
        """
        self._num_updates += 1
        if self._num_updates > self._drain:
            self._num_items += num_items
        if self._num_updates == self._drain + self._counted:
            self._end_part(self._now() - self._started)
        if self._num_updates == self._drain:
            self._started = self._now()

    def _now(self) -> float:
        if self._settle is not None:
            self._settle()
        return time.perf_counter()

    def _end_part(self, seconds: float) -> None:
        self._seconds += seconds
        self._num_parts += 1
        self._num_updates = 0
        if self._num_parts == self._parts:
            self._finish()
        self._started = time.perf_counter()

    def _finish(self) -> None:
        if self._is_warm:
            self._gate.answer(self._num_items / self._seconds, "pictures/s")
        else:
            self._gate.ready()
            self._is_warm = True
        if not self._gate.wait():
            raise SystemExit
        self._num_parts = self._num_items = 0
        self._seconds = 0.0
