"""The files a source finds on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from finelens.data.clip_places import parse_place
from finelens.errors import DataError

PICTURE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What counts as a picture, in lower case; the case on disk does not matter."""


def is_picture(name: str) -> bool:
    """Return whether a file is a picture by its name: a known extension, and not hidden."""
    return not _is_hidden(name) and name.lower().endswith(PICTURE_EXTENSIONS)


def list_folders(folder: Path) -> list[str]:
    """Return the names of the folders directly in a folder, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return sorted(name for name in names if not _is_hidden(name))


def list_pictures(folder: Path) -> list[str]:
    """Return the pictures anywhere below a folder, as ``list_files`` does."""
    return list_files(folder, is_picture)


def list_files(folder: Path, is_wanted: Callable[[str], bool]) -> list[str]:
    """Return the wanted files anywhere below a folder as posix paths relative to it, sorted.

    Hidden files and folders are left out. Links are followed, a folder met again is not entered
    twice. The order is that of the characters' code points, the same on every file system.

    Args:
        folder: The folder.
        is_wanted: Told a file's name, without its folder.

    Raises:
        DataError: If a folder below cannot be listed or a name is not valid Unicode.
    """
    found: list[str] = []
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        relative = Path(parent).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        found += [prefix + name for name in names if is_wanted(name)]
    check_unicode(found)
    return sorted(found)


def check_files_exist(paths: pl.Series, *, where: str) -> None:
    """Raise where a path of a table is not on disk.

    Args:
        paths: Absolute posix paths, or places of clips.
        where: What names these files, to begin the message with.

    Raises:
        DataError: Naming the first missing file and the number of them.
    """
    missing = find_missing(paths)
    if missing:
        raise DataError(
            f'{where}: file "{missing[0]}" does not exist '
            f"({len(missing)} of {len(paths)} missing); paths are relative to the list's folder"
        )


def find_missing(paths: pl.Series) -> list[str]:
    """Return those of absolute posix paths that are not on disk, in the order given.

    Of the place of a clip (``FILE.npy#17``, ``FOLDER#1-17``) the file or folder is looked for.
    Each folder is listed once, which is much quicker than asking for every file.
    """
    parents = paths.str.replace(r"[^/]*$", "").unique()
    present = (
        pl.DataFrame({"path": parents, "name": [_names_in(parent) for parent in parents]})
        .with_columns(pl.col("name").str.split("\0"))
        .explode("name")
        .select(pl.concat_str("path", "name"))
        .to_series()
    )
    suspects = paths.filter(~paths.is_in(present.implode()))
    # a file system may hold the same name in other case or Unicode form
    return [path for path in suspects if not Path(parse_place(path).path).exists()]


def _names_in(folder: str) -> str:
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return ""
    # a name that is not Unicode must not stop the others
    return "\0".join(names).encode(errors="replace").decode()


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _refuse(error: OSError) -> None:
    raise DataError(f'folder "{error.filename}" cannot be listed: {error.strerror}')


def check_unicode(names: list[str]) -> None:
    """Raise where a name on disk is not valid Unicode: no table can hold it.

    Raises:
        DataError: Naming the first.
    """
    try:
        "\n".join(names).encode()
    except UnicodeEncodeError:
        first = next(name for name in names if not _is_unicode(name))
        raise DataError(f"file name {first!a} is not valid UTF-8; rename it") from None


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
