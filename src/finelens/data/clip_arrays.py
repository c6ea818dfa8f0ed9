"""Clip arrays: many clips in one array file, read where they lie without loading the rest."""

from __future__ import annotations

import functools
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from finelens.data.clip_places import parse_place
from finelens.data.sampling import Sampling
from finelens.errors import DataError

_MEMBERS = ("clips", "x", "X", "arr_0", "data")
_LOCAL_HEADER = 30
_ERRORS = (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError,
           zipfile.BadZipFile, zlib.error)  # fmt: skip


def read_array_element(
    file: str, row: int, sampling: Sampling, *, member: str | None = None
) -> NDArray[np.uint8]:
    """Return T frames of one clip of an array file, uint8 (T, H, W, 3).

    Args:
        file: See ``open_clip_array``.
        row: Which clip, from 0.
        sampling: Which of its frames.
        member: See ``open_clip_array``.

    Raises:
        DataError: If the file or the row does not fit; the message begins with the file.
    """
    clips_NTHWC = open_clip_array(file, member=member)
    if row >= len(clips_NTHWC):
        raise DataError(f"{file}: there is no clip {row}, it holds {len(clips_NTHWC)} from 0 on")
    clip_THWC = clips_NTHWC[row]
    return np.array(clip_THWC[sampling.indices(len(clip_THWC))])


def open_clip_array(file: str, *, member: str | None = None) -> NDArray[np.uint8]:
    """Return the clips of an array file, uint8 (N, T, H, W, 3), read only.

    A ``.npy`` file, and a member of a ``.npz`` file that is stored uncompressed (``np.savez``),
    is mapped into memory: nothing is read before it is used. A compressed member
    (``np.savez_compressed``) cannot be mapped and is loaded whole, once in every process. Of a
    ``.npz`` file the member named is taken, else ``clips``, ``x``, ``X``, ``arr_0`` or ``data``,
    whichever is the first with five dimensions, else the only one with five. Pickles are
    refused. A file that changed is opened anew.

    Args:
        file: A ``.npy`` or ``.npz`` file.
        member: A name in the ``.npz`` file.

    Raises:
        DataError: If it is missing, damaged, or holds no such array; the message begins with it.
    """
    try:
        status = Path(file).stat()
        return _open(file, member, status.st_size, status.st_mtime_ns)
    except FileNotFoundError as error:
        raise DataError(f"{file}: cannot be opened: {error.strerror}") from error
    except _ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file}: not an array file, or damaged ({reason})") from error


def stored_frame_size(path: str) -> tuple[int, int] | None:
    """Return height and width of a clip whose frames lie uncompressed in an array file.

    They are mapped into memory, so that reading them is no more than copying those asked for.
    None where the place is no such clip's, or its file cannot be used: who reads it says why.
    """
    place = parse_place(path)
    if place.element is None:
        return None
    try:
        status = Path(place.path).stat()
        return _stored_size(place.path, place.member, status.st_size, status.st_mtime_ns)
    except (*_ERRORS, DataError):
        return None


@functools.lru_cache(maxsize=64)
def _stored_size(file: str, member: str | None, size: int, mtime_ns: int) -> tuple[int, int] | None:
    if not file.lower().endswith(".npy"):
        with zipfile.ZipFile(file) as archive:
            if not _is_stored(_member(file, archive, member)):
                return None
    height, width = _open(file, member, size, mtime_ns).shape[2:4]
    return height, width


@functools.lru_cache(maxsize=4)
def _open(file: str, member: str | None, _size: int, _mtime_ns: int) -> NDArray[np.uint8]:
    if file.lower().endswith(".npy"):
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    else:
        array = _open_member(file, member)
    if array.ndim != 5 or array.dtype != np.uint8 or array.shape[-1] != 3 or not array.size:
        raise DataError(
            f"{file}: {array.dtype} of shape {array.shape}; clips are uint8 (N, T, H, W, 3)"
        )
    array.flags.writeable = False
    return array


def _open_member(file: str, name: str | None) -> NDArray[np.uint8]:
    with zipfile.ZipFile(file) as archive:
        member = _member(file, archive, name)
        if _is_stored(member):
            return _map_member(file, member)
        with archive.open(member) as stream:
            return npy.read_array(stream, allow_pickle=False)


def _member(file: str, archive: zipfile.ZipFile, name: str | None) -> zipfile.ZipInfo:
    return archive.getinfo(f"{name}.npy") if name else _choose(file, archive)


def _is_stored(member: zipfile.ZipInfo) -> bool:
    return member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1


def _choose(file: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    shapes: dict[str, tuple[int, ...]] = {}
    for name in archive.namelist():
        if name.endswith(".npy"):
            with archive.open(name) as stream:
                shapes[name.removesuffix(".npy")] = _read_header(stream)[0]
    fitting = [name for name, shape in shapes.items() if len(shape) == 5]
    known = [name for name in _MEMBERS if name in fitting]
    if not known and len(fitting) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
        raise DataError(
            f"{file}: which member holds the clips? It has {listed}; "
            'name an array of shape (N, T, H, W, 3) "clips"'
        )
    return archive.getinfo(f"{(known or fitting)[0]}.npy")


def _map_member(file: str, member: zipfile.ZipInfo) -> NDArray[np.uint8]:
    """Return an uncompressed member as a map: its bytes lie in the archive as in a file."""
    with Path(file).open("rb") as stream:
        stream.seek(member.header_offset)
        header = stream.read(_LOCAL_HEADER)
        # the lengths of name and extra field here may differ from the archive's directory
        lengths = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
        stream.seek(member.header_offset + _LOCAL_HEADER + sum(lengths))
        shape, is_fortran, dtype = _read_header(stream)
        if dtype.hasobject:
            raise ValueError("pickled objects are not read")
        order = "F" if is_fortran else "C"
        return np.memmap(file, dtype, "r", offset=stream.tell(), shape=shape, order=order)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    return npy.read_array_header_2_0(stream)
