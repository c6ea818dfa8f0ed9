"""UCF-11: clips of eleven actions, in folders of those that come from one video."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.clip_places import is_clip
from finelens.data.manifest import Manifest, build_manifest
from finelens.data.sources.cells import read_header
from finelens.data.sources.files import list_files, list_folders
from finelens.data.sources.table import find_table, read_table
from finelens.errors import DataError
from finelens.progress import Progress

FOLDERS = ("UCF11_updated_mpg", "action_youtube_naudio")
"""What the two releases call their root."""

_GROUP = re.compile(r"v_.+_\d+")
_ANNOTATION = ("annotation", "annotations")
_LOOKED_AT = 3


def read_ucf11(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the clips below ``CLASS/v_PREFIX_NN/``, sorted by id.

    The class is the class folder, whatever the prefix; ``Annotation`` folders are skipped. The
    group is ``CLASS/v_PREFIX_NN``: the number counts the videos of one class, so the same
    number in another class is another video. Where that is not so, and actions of one recording
    lie in several class folders, names cannot tell: a table beside the class folders
    (``index.csv``, ``manifest.csv`` or ``manifest.parquet``) with columns path, label and group
    is read instead.

    Args:
        path: The folder of class folders, or the folder that holds it.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; None takes all class folders, sorted.
        label_separator: The mark between labels in the table, where there is one.
        progress: Has no meaning here: folders are listed at once.

    Raises:
        DataError: If the layout is another, a clip lies in no group folder, or
            ``build_manifest`` refuses.
    """
    root = find_ucf11(path)
    if root is None:
        raise DataError(
            f'folder "{path}" is not laid out as UCF-11: clips must lie in CLASS/v_NAME_01/'
        )
    table = find_table(root)
    if table is not None and _has_groups(table):
        return read_table(
            table, task=task, classes=classes, label_separator=label_separator, progress=progress
        )
    rows = _rows(root)
    return build_manifest(
        rows,
        task=task,
        classes=classes or list_folders(root),
        group_origin="the folders CLASS/v_NAME_01",
    )


def find_ucf11(path: Path) -> Path | None:
    """Return the folder that holds UCF-11's class folders, or None.

    It is the path itself, or the folder in it that has one of the names of ``FOLDERS`` or is the
    only one.

    Raises:
        DataError: If both releases are there.
    """
    if not path.is_dir():
        return None
    if _is_ucf11(path):
        return path
    inside = list_folders(path)
    named = [name for name in inside if name in FOLDERS] or inside[: len(inside) == 1]
    found = [path / name for name in named if _is_ucf11(path / name)]
    if len(found) > 1:
        names = ", ".join(f'"{folder}"' for folder in found)
        raise DataError(f'folder "{path}" holds {names}; give one of them')
    return found[0] if found else None


def _is_ucf11(folder: Path) -> bool:
    return any(
        _GROUP.fullmatch(name) and any(is_clip(file.name) for file in (top / name).iterdir())
        for top in (folder / name for name in list_folders(folder)[:_LOOKED_AT])
        for name in list_folders(top)
    )


def _has_groups(table: Path) -> bool:
    if table.suffix == ".csv":
        return "group" in read_header(table)
    return "group" in pl.read_parquet_schema(table)


def _rows(root: Path) -> pl.DataFrame:
    parts = pl.DataFrame({"id": list_files(root, is_clip)}).with_columns(
        part=pl.col("id").str.split("/")
    )
    part = pl.col("part")
    parts = parts.filter(
        ~part.list.get(1, null_on_oob=True).str.to_lowercase().is_in(_ANNOTATION).fill_null(False)
    )
    stray = parts.filter(part.list.len() < 3)
    if not stray.is_empty():
        raise DataError(
            f'clip "{root / stray["id"][0]}" lies in no group folder ({stray.height} such clips); '
            "put it into CLASS/v_NAME_01/"
        )
    base = f"{root.absolute().as_posix().rstrip('/')}/"
    return parts.select(
        "id",
        path=pl.lit(base) + pl.col("id"),
        labels=part.list.head(1),
        group=part.list.head(2).list.join("/"),
    )
