"""The children: contenders as processes, of which one works at a time."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from suite.row import Bench, Contender

_SECONDS_TO_END = 30.0


class Resident:
    """A contender that stays, prepared, and runs a round when it is told to.

    Args:
        command: Its command line.
        log: Takes its standard error.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True, env=environment(),
            )  # fmt: skip
        self.versions = self._read()["versions"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def round(self) -> dict[str, Any]:
        """Run one round; return what it tells: value, unit, extra."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):  # what a library printed while it was imported
            line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            raise SystemExit(f"a contender ended: see {self._log}\n{tail(self._log)}")
        return json.loads(line)


class Jobs:
    """A contender whose every round is a process of its own, timed as a user's clock would."""

    def __init__(self, bench: Bench, contender: Contender, folder: Path) -> None:
        self._bench = bench
        self._contender = contender
        self._folder = folder
        self._count = 0
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def round(self) -> dict[str, Any]:
        """Run it; seconds from start to end, unless it wrote a ``value`` of its own."""
        self._count += 1
        out = self._folder / f"job-{self._count}"
        log = self._folder / f"job-{self._count}.log"
        command = self._contender.command(self._bench, out)
        with log.open("w") as file:
            started = time.perf_counter()
            process = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(),
                check=False,
            )  # fmt: skip
            seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{command[0]} failed: see {log}\n{tail(log)}")
        told = json.loads(out.read_text()) if out.is_file() and _is_json(out) else {}
        quality = self._contender.quality
        answer = {"value": seconds, "unit": "s", "extra": {}} | told
        return answer if quality is None else answer | {"quality": quality(self._bench, out)}


def environment() -> dict[str, str]:
    """Return this process's environment, in which nothing is downloaded in a measurement."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"{"
