"""Eviction: what was not used for longest leaves a cache folder that is nearly full."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL, _LEFT = 0.9, 0.8
_LOCK = ".lock"
_TEMPORARY = ".tmp"
# a file still being written is younger; an older one was left behind by a kill
_ABANDONED_S = 3600.0


def evict(
    folder: Path, max_bytes: int, *, coming_bytes: int = 0, kept_since_s: float = math.inf
) -> bool | None:
    """Remove the least recently used files of a folder if more than nine tenths will be used.

    Eight tenths are left. One process does it at a time: others return at once. Files that a
    kill left half written go too.

    Args:
        folder: A cache folder.
        max_bytes: Its bound; a file counts the blocks it takes on disk.
        coming_bytes: What will be written next.
        kept_since_s: Files that were used at this time, as of ``time.time``, or later stay.

    Returns:
        Whether more than nine tenths will be used still; None where another process is at it.

    Raises:
        OSError: If the folder cannot be listed.
    """
    with _alone(folder / _LOCK) as is_alone:
        if not is_alone:
            return None
        files = sorted(_files(folder))
        used_bytes = coming_bytes + sum(size for _, size, _ in files)
        enough = _LEFT * max_bytes if used_bytes > _FULL * max_bytes else used_bytes
        oldest_s = time.time() - _ABANDONED_S
        for used_s, size, path in files:
            is_temporary = path.endswith(_TEMPORARY)
            is_kept = is_temporary or used_s >= kept_since_s
            if (used_bytes > enough and not is_kept) or (is_temporary and used_s < oldest_s):
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
                    used_bytes -= size
        return used_bytes > _FULL * max_bytes


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Yield when each file below a folder was last used, its bytes on disk, and its path."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == _LOCK:
                continue
            # another process may have removed it
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(Path(entry.path))
                    continue
                status = entry.stat(follow_symlinks=False)
                blocks = getattr(status, "st_blocks", None)
                size = status.st_size if blocks is None else max(status.st_size, 512 * blocks)
                yield status.st_mtime, size, entry.path


@contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Hold a lock that the system takes back when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        # without such locks two may evict at once: more goes than must, nothing breaks
        yield True
        return
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
