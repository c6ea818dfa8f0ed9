"""Replacing: a file written beside its place, and put there when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file, which takes a file's place when the block has ended.

    A reader, or a power cut, meets the old file or the new one, never a part: the temporary
    file lies in the same folder, and is flushed to the disk and then renamed. Where the block
    raises it is removed, and the old file stays. Its name holds the process, so that several may
    write one file at a time, and ends in the file's own suffix, by which writers of pictures go.

    Args:
        path: The file, whether or not it is there; its folder must be.

    Raises:
        OSError: If nothing was written, or the file cannot be replaced.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
