"""The cache of A2D's labels: masks are read once, and again when they change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finelens.data.cache_folder import cache_folder
from finelens.data.sources.a2d_lists import ANNOTATIONS
from finelens.data.sources.a2d_masks import read_values
from finelens.data.workers import resolve_workers
from finelens.progress import Progress, Silent
from finelens.replacing import replacing

_VERSION = 1


@dataclass(frozen=True)
class _Entry:
    """What a mask held when its file had this size and time."""

    size: int
    mtime_ns: int
    values: list[int]

    def is_of(self, status: os.stat_result) -> bool:
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


def label_values(
    root: Path,
    frames: Sequence[str],
    progress: Progress | None = None,
    *,
    num_workers: int | None = None,
) -> dict[str, list[int]]:
    """Return the distinct pixel labels of each frame's mask, ascending.

    They are kept in ``cache_folder`` with a checksum of the whole. Only masks that are new there,
    or whose size or time of change is another, are read. A cache that is damaged is written
    anew; without one, all are read.

    Args:
        root: The folder that holds the annotations.
        frames: N distinct names ``CLIP/NNNNN`` whose annotations exist.
        progress: Who watches.
        num_workers: Processes that read; None: as many as pay.

    Raises:
        DataError: Naming the first annotation that cannot be read.
    """
    folder = root / ANNOTATIONS
    statuses = {frame: (folder / f"{frame}.mat").stat() for frame in frames}
    file = _cache_file(root)
    known = _load(file)
    changed = [frame for frame, status in statuses.items()
               if frame not in known or not known[frame].is_of(status)]  # fmt: skip
    if changed:
        found = _read(folder, changed, progress or Silent(), num_workers)
        for frame, values in zip(changed, found, strict=True):
            known[frame] = _Entry(statuses[frame].st_size, statuses[frame].st_mtime_ns, values)
        _save(file, known)
    return {frame: known[frame].values for frame in frames}


def _read(
    folder: Path, frames: Sequence[str], progress: Progress, num_workers: int | None
) -> list[list[int]]:
    paths = [str(folder / f"{frame}.mat") for frame in frames]
    workers = resolve_workers("auto" if num_workers is None else num_workers, len(paths))
    with progress.stage("reading annotations", len(paths)) as advance:
        return read_values(paths, num_workers=workers, advance=lambda num: advance(num, ""))


def _cache_file(root: Path) -> Path:
    digest = hashlib.sha256(root.absolute().as_posix().encode()).hexdigest()
    return cache_folder() / f"a2d-{digest[:16]}.json"


def _load(file: Path) -> dict[str, _Entry]:
    """Return what a cache holds: nothing where it is missing, damaged or of another version."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return {}
    masks = content.get("masks", {})
    if content.get("sha256") != _checksum(masks):
        return {}
    return {frame: _Entry(**entry) for frame, entry in masks.items()}


def _save(file: Path, known: Mapping[str, _Entry]) -> None:
    masks = {frame: asdict(entry) for frame, entry in known.items()}
    content = {"version": _VERSION, "sha256": _checksum(masks), "masks": masks}
    # where nothing can be written, nothing is lost but time
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        # training processes of one machine write at the same time
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")


def _checksum(masks: Any) -> str:
    return hashlib.sha256(json.dumps(masks, sort_keys=True).encode()).hexdigest()
