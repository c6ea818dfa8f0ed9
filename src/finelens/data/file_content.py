"""The content of files: a key that is the same for the same bytes, wherever they lie."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path

from finelens.data.clip_places import parse_place

_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20


def digest(text: str) -> str:
    """Return a short name for any text, 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"),
                           digest_size=_DIGEST_BYTES).hexdigest()  # fmt: skip


def content_key(path: str, folder: Path, *, remembers: bool = True) -> str:
    """Return a name for what lies at a place, 32 hexadecimal digits.

    Of a file it is the BLAKE2b hash of its bytes, so that copies and moved files are the same.
    Hashes are remembered in a folder by path, size and time of change: a file is read once, and
    again when one of these is another. Of a folder of frames it is that of the names, sizes and
    times of change of what it holds, of an element of an array file that of the file's path,
    size and time of change.

    Args:
        path: A picture, a video, a folder of frames or an element of an array file.
        folder: Where hashes are kept; where nothing can be written, they are not.
        remembers: Whether a hash that is not there is kept.

    Raises:
        OSError: If there is no such file or it cannot be read.
    """
    place = parse_place(path)
    target = Path(place.path).absolute()
    status = target.stat()
    if target.is_dir():
        with os.scandir(target) as entries:
            listing = sorted(_identity(entry.name, entry.stat()) for entry in entries)
        return digest("\n".join([path, *listing]))
    identity = _identity(str(target), status)
    if place.element is not None:
        return digest(f"{identity}#{place.member}#{place.element}")
    return _remembered_hash(target, identity, folder, remembers=remembers)


def _identity(name: str, status: os.stat_result) -> str:
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}"


def _remembered_hash(target: Path, identity: str, folder: Path, *, remembers: bool) -> str:
    name = digest(identity)
    memory = folder / name[:2] / f"{name}.hash"
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
