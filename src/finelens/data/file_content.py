"""The content of files: a key that is the same for the same bytes, wherever they lie."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path

from finelens.data.clip_places import parse_place

_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20
# hashes a process has at hand, 20 MB; the folder has the others
_NUM_LATEST = 1 << 16


def digest(text: str) -> str:
    """Return a short name for any text, 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"),
                           digest_size=_DIGEST_BYTES).hexdigest()  # fmt: skip


class ContentKeys:
    """Names for what lies at places, 32 hexadecimal digits each.

    Of a file it is the BLAKE2b hash of its bytes, so that copies and moved files are the same.
    Hashes are remembered in a folder by path, size and time of change: a file is read once, and
    again when one of these is another. Of a folder of frames it is that of the names, sizes and
    times of change of what it holds, of an element of an array file that of the file's path,
    size and time of change.

    Args:
        folder: Where hashes are kept; where nothing can be written, they are not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._latest: dict[str, str] = {}

    def of(self, path: str, *, remembers: bool = True) -> str:
        """Return the name of what lies at a place.

        Args:
            path: A picture, a video, a folder of frames or an element of an array file.
            remembers: Whether a hash that is not in the folder is kept there.

        Raises:
            OSError: If there is no such file or it cannot be read.
        """
        place = parse_place(path)
        target = Path(place.path).absolute()
        status = target.stat()
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(target) as entries:
                listing = sorted(_identity(entry.name, entry.stat()) for entry in entries)
            return digest("\n".join([path, *listing]))
        identity = _identity(str(target), status)
        if place.element is not None:
            return digest(f"{identity}#{place.member}#{place.element}")
        return self._of_file(target, digest(identity), remembers=remembers)

    def forget(self) -> None:
        """Ask the folder again: whether a hash is in use is known by when it was asked for."""
        self._latest.clear()

    def _of_file(self, target: Path, name: str, *, remembers: bool) -> str:
        latest = self._latest.get(name)
        if latest is not None:
            return latest
        found = _remembered_hash(target, name, self._folder, remembers=remembers)
        if len(self._latest) == _NUM_LATEST:
            self._latest.clear()
        self._latest[name] = found
        return found


def _identity(name: str, status: os.stat_result) -> str:
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}"


def _remembered_hash(target: Path, name: str, folder: Path, *, remembers: bool) -> str:
    memory = folder / name[0] / f"{name}.hash"
    with contextlib.suppress(OSError, ValueError):
        remembered = memory.read_text(encoding="ascii")
        if len(remembered) == 2 * _DIGEST_BYTES:
            os.utime(memory)
            return remembered
    found = hash_bytes(target)
    if not remembers:
        return found
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = memory.with_name(f".{memory.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        temporary.write_text(found, encoding="ascii")
        temporary.replace(memory)
    return found


def hash_bytes(target: Path) -> str:
    """Return the BLAKE2b hash of a file's bytes, 32 hexadecimal digits."""
    hashed = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.hexdigest()
