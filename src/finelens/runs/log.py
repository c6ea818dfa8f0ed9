"""The metrics log: one JSON line for every number measured while training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finelens.errors import RunError

PROBE_PHASE = "probe"
"""The phase under which the probe's figures are logged, at epoch 0."""


class MetricsLog:
    """Appends ``{"step", "epoch", "phase", "split", "name", "value"}`` rows to a file.

    A checkpoint remembers ``size``; resuming truncates the file to it, so that a log of a
    killed and continued run reads like that of one left alone.
    """

    def __init__(self, path: Path, *, size: int = 0, is_writer: bool = True) -> None:
        """Open a log and cut it to its first ``size`` bytes; one process of several writes.

        Raises:
            RunError: If the file is shorter: it is not the one that ``size`` was read of.
        """
        self._path = path
        self._is_writer = is_writer
        if is_writer:
            path.touch()
            if self.size < size:
                raise RunError(
                    f"{path} holds {self.size} bytes, and the checkpoint knows {size}: rows are "
                    "lost; put the file back, or start a new run"
                )
            os.truncate(path, size)

    @property
    def size(self) -> int:
        """Return the bytes written so far."""
        return self._path.stat().st_size if self._is_writer else 0

    def write(
        self, values: Mapping[str, float], *, step: int, epoch: int, phase: str, split: str
    ) -> None:
        """Append one row a value; NaN and infinity are written as null.

        Args:
            values: Names of metrics and their values.
            step: Weight updates so far.
            epoch: Epochs completed, counted over all phases; 0 is before training.
            phase: The phase's name.
            split: ``train`` or ``val``.
        """
        if not self._is_writer:
            return
        rows = (
            {"step": step, "epoch": epoch, "phase": phase, "split": split, "name": name,
             "value": float(value) if abs(value) < float("inf") else None}
            for name, value in values.items()
        )  # fmt: skip
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            # a checkpoint on the disk must not know more rows than the disk does
            os.fsync(file.fileno())


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return a metrics log's rows; a last line cut off by a kill is left out.

    Raises:
        RunError: If the file is missing, or another line is no JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is not a metrics log: {error}") from error
