"""The arrays in NumPy's files: names, shapes and kinds, without loading what is large."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from finelens.data.clip_places import ClipPlace
from finelens.errors import DataError

ARRAY_EXTENSIONS = (".npy", ".npz")
"""NumPy's files, in lower case."""


@dataclass(frozen=True)
class StoredArray:
    """One array on disk.

    Attributes:
        file: The ``.npy`` or ``.npz`` file.
        name: Of the member of an ``.npz``; of an ``.npy`` the file's name without its ending.
        shape: As stored.
        dtype: As stored.
        is_member: Whether it lies in an ``.npz``.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    is_member: bool

    @property
    def holds_clips(self) -> bool:
        """Return whether it has the five axes (N, T, H, W, 3) of clips in colour."""
        return len(self.shape) == 5 and self.shape[-1] == 3

    def __str__(self) -> str:
        """Return name, shape and kind, for messages."""
        return f"{self.name} {self.shape} {self.dtype}"

    def place(self, row: int, *, is_alone: bool) -> ClipPlace:
        """Return where one of its clips lies; an ``.npz`` with only these needs no name."""
        member = self.name if self.is_member and not is_alone else None
        return ClipPlace(self.file.absolute().as_posix(), row, member=member)

    def load(self) -> NDArray:
        """Return the whole array; nothing is ever unpickled.

        Raises:
            DataError: If it holds Python objects or is damaged.
        """
        if self.dtype.hasobject:
            raise DataError(
                f'array "{self.name}" of "{self.file}" holds Python objects, which are not read; '
                "save it as numbers, or as text with numpy.array(names, dtype=str)"
            )
        try:
            if not self.is_member:
                return np.load(self.file, allow_pickle=False)
            with np.load(self.file, allow_pickle=False) as archive:
                return archive[self.name]
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise _unreadable(self.file, error) from error


def list_arrays(path: Path) -> list[StoredArray]:
    """Return the arrays of an ``.npz`` file, or those of all ``.npy`` files of a folder, by name.

    Args:
        path: An ``.npz`` file, or a folder.

    Raises:
        DataError: If a file is no NumPy file or damaged.
    """
    if path.is_dir():
        return [_of_file(file) for file in sorted(path.iterdir()) if _is_npy(file)]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".npy"))
            return [_of_member(archive, path, name) for name in names]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _is_npy(file: Path) -> bool:
    return file.suffix.lower() == ".npy" and not file.name.startswith(".")


def _of_file(file: Path) -> StoredArray:
    try:
        with file.open("rb") as stream:
            shape, dtype = _read_header(stream)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(file, error) from error
    return StoredArray(file, file.stem, shape, dtype, is_member=False)


def _of_member(archive: zipfile.ZipFile, file: Path, name: str) -> StoredArray:
    with archive.open(name) as stream:
        shape, dtype = _read_header(stream)
    return StoredArray(file, name.removesuffix(".npy"), shape, dtype, is_member=True)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _unreadable(file: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f'"{file}" cannot be read as a NumPy file: {reason}')
