"""The edit of a decision: thresholds set by hand in a model folder, the older decision kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from finelens.decision import Decision
from finelens.errors import ModelError
from finelens.models.folder import DECISION, read_decision, read_task
from finelens.replacing import replacing


def edit_decision(folder: str | Path, thresholds: Mapping[str, float]) -> Decision:
    """Return a model folder's decision, once it has other thresholds of some classes.

    The decision before it is kept beside it as ``decision-0001.json`` and so on, which is named
    in the new one. A kill at any moment leaves the old decision or the new one. Of several that
    edit at a time, each begins from what another left.

    Args:
        folder: As ``save_model`` wrote it.
        thresholds: Class names and probabilities in [0, 1].

    Raises:
        ConfigError: If there is no threshold, or one is no probability.
        DataError: If there is no such class.
        ModelError: If it is no model folder, is damaged, or cannot be written.
    """
    folder = Path(folder)
    if not (folder / DECISION).is_file():
        raise ModelError(
            f"{folder} is no model folder: it holds no {DECISION}; name a run's model/"
        )
    try:
        with _alone(folder):
            decision = read_decision(folder)
            kept = _place_of_old(folder)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            edited = decision.edited(read_task(folder), thresholds, at=now, previous=kept.name)
            _keep(folder / DECISION, kept)
            with replacing(folder / DECISION) as temporary:
                text = json.dumps(edited.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
                temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"{folder / DECISION} cannot be written: {error.strerror}; the old one stays"
        ) from error
    return edited


def kept_decisions(folder: str | Path) -> list[Path]:
    """Return the decisions that were edited, the oldest first."""
    return sorted(Path(folder).glob("decision-[0-9][0-9][0-9][0-9]*.json"), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("decision-"))


def _place_of_old(folder: Path) -> Path:
    """Return where the decision is to be kept, or is already since a kill before its end."""
    kept = kept_decisions(folder)
    if kept and kept[-1].read_bytes() == (folder / DECISION).read_bytes():
        return kept[-1]
    number = _number(kept[-1]) + 1 if kept else 1
    return folder / f"decision-{number:04d}.json"


def _keep(decision: Path, kept: Path) -> None:
    if kept.exists():
        return
    try:
        # the very file: no kill can leave a part of it
        os.link(decision, kept)
    except OSError:
        # a file system without hard links
        with replacing(kept) as temporary:
            shutil.copyfile(decision, temporary)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other edit is at work in a folder, in this or another process."""
    try:
        import fcntl
    except ImportError:
        # without such locks the later of two edits at a time wins
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
