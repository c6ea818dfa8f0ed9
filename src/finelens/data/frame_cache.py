"""The frame cache: decoded pictures and clips on disk, for when they are seen again."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import os
import struct
import threading
import time
import tokenize
import warnings
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from finelens.config.schema import DataConfig
from finelens.data.cache_eviction import evict
from finelens.data.cache_folder import cache_folder
from finelens.data.file_content import ContentKeys, digest
from finelens.errors import ConfigError

# a process looks at the folder's size before it writes another such part of the bound
_CHECKED_PART = 100
# an entry and the hash of its file each fill their last block on disk
_BLOCKS_BYTES = 8192
# of what follows the magic and the version in an .npy file of version 1.0
_HEADER_BYTES = struct.Struct("<H")
# another number forgets all that older ones decoded
_VERSION = 1


class FrameCache:
    """uint8 arrays by the content of a file and by what was done to its frames.

    Safe with several processes: an entry is a file of its own that is written under another name
    and renamed. The least recently used entries go when the bound is near; none that was used
    since this was built or renewed. An epoch with more than there is room for thus finds in the
    next what there was room for, and the rest is computed; so is what comes while another process
    looks for room. A damaged entry is made again. Where the folder cannot be written (a full disk,
    no right to), everything is computed. A warning says each of the two once, whichever process
    finds it. Processes that are started with it share that; it cannot be pickled for anything
    else.

    Args:
        folder: Made when the first entry is written.
        max_bytes: Bound of the whole folder. It holds for up to ten processes that write at once.

    Raises:
        ConfigError: If the bound is below 1.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ConfigError(f"max_bytes: {max_bytes} must be 1 or more")
        self.folder = folder
        self.max_bytes = max_bytes
        self._unchecked_bytes = max_bytes
        self._keys = ContentKeys(folder)
        self._since_s = time.time()
        self._is_full = False
        # processes that read have the same
        self._told_full = RawValue(ctypes.c_bool)
        self._told_unwritable = RawValue(ctypes.c_bool)

    def renew(self) -> None:
        """Let what was used so far make room for what comes, in processes started from now on."""
        self._keys.forget()
        self._since_s = time.time()
        self._is_full = False

    def get(
        self, path: str, key: str, compute: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """Return the array of a file, computed when it is not there.

        Args:
            path: A picture, a video, a folder of frames or an element of an array file.
            key: All that decides what ``compute`` makes of the file: sampling, preprocessing.
            compute: Makes the array; what it raises passes through and nothing is kept.

        Returns:
            An array of the caller's own: what is written to it never reaches the cache. It is not
            kept where the folder cannot be written, or where it is larger than half the bound.
        """
        try:
            content = self._keys.of(path, remembers=not self._is_full)
        except (OSError, ValueError):
            # compute knows how to tell what is wrong with the file
            return compute()
        entry = self.folder / content[0] / f"{content}-{digest(f'{_VERSION} {key}')}.npy"
        kept = _load(entry)
        if kept is not None:
            return kept
        array = compute()
        if not self._make_room(array.nbytes):
            return array
        try:
            _store(entry, array)
        except OSError as error:
            _warn_once(
                self._told_unwritable,
                f"cache folder {self.folder} cannot be written ({error.strerror}); frames are "
                "decoded every time",
            )
            return array
        return array

    def _make_room(self, num_bytes: int) -> bool:
        """Return whether an entry may be written, after others went for it where they may."""
        if self._is_full or num_bytes > self.max_bytes // 2:
            return False
        self._unchecked_bytes += num_bytes + _BLOCKS_BYTES
        if self._unchecked_bytes * _CHECKED_PART >= self.max_bytes:
            is_full: bool | None = False
            with contextlib.suppress(OSError):
                is_full = evict(
                    self.folder,
                    self.max_bytes,
                    coming_bytes=num_bytes + _BLOCKS_BYTES,
                    kept_since_s=self._since_s,
                )
            if is_full is None:
                return False
            self._is_full, self._unchecked_bytes = is_full, 0
        if self._is_full:
            _warn_once(
                self._told_full,
                f"cache folder {self.folder} is full of this run's frames; the others are decoded "
                f"every time: a larger data.cache_gb (it is {self.max_bytes / 1e9:g}) keeps more",
            )
        return not self._is_full


def build_frame_cache(data: DataConfig, *, is_clips: bool) -> FrameCache | None:
    """Return the cache that a recipe asks for: of clips, where it leaves that open.

    Args:
        data: Says whether, and how large it may grow.
        is_clips: Whether the data are clips.
    """
    if not (is_clips if data.cache == "auto" else data.cache):
        return None
    return FrameCache(cache_folder() / "frames", max_bytes=round(data.cache_gb * 1e9))


def _warn_once(told: ctypes.c_bool, what: str) -> None:
    if not told.value:
        told.value = True
        warnings.warn(what, stacklevel=4)


def _load(entry: Path) -> NDArray[np.uint8] | None:
    """Return an entry and mark it as used; None if it is missing or damaged."""
    try:
        with entry.open("rb") as file:
            # a map took an eighth longer: each of its pages is a fault
            stored = np.empty(os.fstat(file.fileno()).st_size, dtype=np.uint8)
            num_read = file.readinto(stored.data)
        (header_bytes,) = _HEADER_BYTES.unpack_from(stored.data, npy.MAGIC_LEN)
        header_end = npy.MAGIC_LEN + _HEADER_BYTES.size + header_bytes
        shape = _shape(stored[:header_end].tobytes())
        if shape is None or num_read != len(stored):
            return None
        # of a file cut short it cannot be made
        array = stored[header_end:].reshape(shape)
        os.utime(entry)
    except (OSError, ValueError, SyntaxError, struct.error, tokenize.TokenError):
        # the header is Python's text of a dictionary
        return None
    return array


@functools.lru_cache(maxsize=256)
def _shape(header: bytes) -> tuple[int, ...] | None:
    """Return the shape that the header of an entry tells; None if it is no entry's."""
    stream = io.BytesIO(header)
    if npy.read_magic(stream) != (1, 0):
        return None
    shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
    return None if dtype != np.uint8 or is_fortran else shape


def _store(entry: Path, array: NDArray[np.uint8]) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    name = f".{entry.name}.{os.getpid()}.{threading.get_ident()}.tmp"
    temporary = entry.with_name(name)
    try:
        with temporary.open("wb") as file:
            npy.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        temporary.replace(entry)
    finally:
        temporary.unlink(missing_ok=True)
