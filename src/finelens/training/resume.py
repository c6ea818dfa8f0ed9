"""The checkpoint: everything needed to go on to the same weights, written so it survives a kill."""

from __future__ import annotations

import os
import pickle
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from finelens.errors import RunError, typed

_FORMAT = 2
_LAST, _PREVIOUS = "last.pt", "previous.pt"


class Checkpoints:
    """Keeps the last two states of a training run in a folder.

    A state is written to a temporary name, flushed to the disk and renamed, and the state
    before it is kept: a kill at any moment leaves a whole one.
    """

    def __init__(self, folder: Path, *, minutes: float, is_writer: bool = True) -> None:
        """Keep states in ``folder``, at least every ``minutes`` while training.

        Args:
            folder: Where states lie; must exist.
            minutes: Longest time between two states.
            is_writer: Whether this process writes; one process of several does.
        """
        self._folder = folder
        self._seconds = minutes * 60
        self._is_writer = is_writer
        self._saved_at = time.monotonic()
        self._is_last_damaged = False

    @property
    def is_due(self) -> bool:
        """Return whether the last state is old enough for the next."""
        return self.age_s >= self._seconds

    @property
    def age_s(self) -> float:
        """Return the seconds since the last state."""
        return time.monotonic() - self._saved_at

    def save(self, state: dict[str, Any]) -> None:
        """Write a state of tensors, numbers, strings, lists and dictionaries.

        Raises:
            RunError: If it cannot be written, as on a full disk; the states before it stay.
        """
        self._saved_at = time.monotonic()
        if not self._is_writer:
            return
        temporary = self._folder / f".{_LAST}.tmp"
        try:
            with temporary.open("wb") as file:
                torch.save({"format": _FORMAT, **state}, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            # torch tells a full disk as a RuntimeError about a position
            temporary.unlink(missing_ok=True)
            raise unwritable(self._folder, error) from error
        last = self._folder / _LAST
        if last.exists() and not self._is_last_damaged:
            last.replace(self._folder / _PREVIOUS)
        temporary.replace(last)
        self._is_last_damaged = False

    def load(self) -> dict[str, Any] | None:
        """Return the last whole state, or None when there is none yet.

        Raises:
            RunError: If states lie there and none can be read.
        """
        candidates = [self._folder / _LAST, self._folder / _PREVIOUS]
        present = [path for path in candidates if path.is_file()]
        for path in present:
            state = _read(path)
            if state is not None:
                # the next save must not put a damaged state in the place of a whole one
                self._is_last_damaged = path != present[0]
                return state
        if present:
            raise RunError(
                f"{present[0]} is corrupted or of another version of finelens; start a new run"
            )
        return None


def has_state(folder: Path) -> bool:
    """Return whether a state lies in a folder, be it whole or not."""
    return any((folder / name).is_file() for name in (_LAST, _PREVIOUS))


def forget_previous(folder: Path) -> None:
    """Delete the last state but one of a run that is complete, and so never goes on."""
    (folder / _PREVIOUS).unlink(missing_ok=True)


def unwritable(folder: Path, error: Exception) -> RunError:
    """Return the error of a state that cannot be written, with the room left on the disk."""
    free_mb = shutil.disk_usage(folder).free / 2**20
    return RunError(
        f"{folder} cannot be written ({free_mb:.0f} MB are free on its disk): {error};\n"
        f"what was saved before is whole: free some space, then "
        f"`finelens train --resume {typed(folder.parent)}`"
    )


def _read(path: Path) -> dict[str, Any] | None:
    # a damaged zip shows as any of these, depending on where it is damaged
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError,
            pickle.UnpicklingError, zipfile.BadZipFile):  # fmt: skip
        return None
    return state if isinstance(state, dict) and state.get("format") == _FORMAT else None
