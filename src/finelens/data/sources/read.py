"""The door to all sources: what lies at a path becomes a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finelens.data.manifest import Manifest
from finelens.data.sources.a2d import find_a2d, read_a2d
from finelens.data.sources.folder import read_folder
from finelens.data.sources.table import read_table
from finelens.data.sources.voc import find_voc, read_voc
from finelens.errors import DataError, did_you_mean
from finelens.progress import Progress

TABLE_EXTENSIONS = (".csv", ".tsv", ".parquet")
TABLES_OF_FOLDERS = ("manifest.csv", "manifest.parquet")
"""A folder that holds one of these is read by it."""


def read_source(
    path: str | Path,
    *,
    source: str = "auto",
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the manifest of the pictures at a path; its splits are those given there.

    Args:
        path: A folder or a table; ``~`` is the home folder.
        source: A key of ``SOURCES``, or ``auto``: a .csv, .tsv or .parquet file is a table,
            a folder with ``ImageSets/Main`` or VOCdevkit is voc, one with ``list/train.txt`` or
            ``videoset.csv`` beside ``pngs320H`` or ``Annotations/mat`` is a2d, a folder with
            manifest.csv or manifest.parquet is that table, any other folder holds class folders.
        task: ``auto``, ``multi-class`` or ``multi-label``; see ``build_manifest``.
        classes: All classes in order; None takes those found. Give a model's own classes when
            it is evaluated, so that a picture of another class is refused.
        label_separator: The mark between labels in a table's cell; see ``read_table``.
        progress: Who watches where reading takes long; see ``read_a2d``.

    Raises:
        DataError: If nothing is there, or the reader or ``build_manifest`` refuses it.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f'data "{path}" does not exist')
    if source == "auto":
        source = _guess(path)
    if source not in SOURCES:
        raise DataError(f'data.source: "{source}" is unknown{did_you_mean(source, SOURCES)}')
    if source == "table":
        path = _table_at(path)
    elif not path.is_dir():
        raise DataError(f'data "{path}" is a file; data.source {source} needs a folder')
    return SOURCES[source](
        path, task=task, classes=classes, label_separator=label_separator, progress=progress
    )


def _guess(path: Path) -> str:
    if path.is_file():
        if path.suffix.lower() not in TABLE_EXTENSIONS:
            raise DataError(
                f'data "{path}" is neither a folder nor a table ({", ".join(TABLE_EXTENSIONS)})'
            )
        return "table"
    if find_voc(path) is not None:
        return "voc"
    if find_a2d(path) is not None:
        return "a2d"
    return "table" if any((path / name).is_file() for name in TABLES_OF_FOLDERS) else "folder"


def _table_at(path: Path) -> Path:
    if path.is_file():
        return path
    for name in TABLES_OF_FOLDERS:
        if (path / name).is_file():
            return path / name
    names = " or ".join(TABLES_OF_FOLDERS)
    raise DataError(f'folder "{path}" holds no {names}; give the table itself')


SOURCES = {"a2d": read_a2d, "folder": read_folder, "table": read_table, "voc": read_voc}
