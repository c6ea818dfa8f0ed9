"""The door to all sources: what lies at a path becomes a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finelens.data.manifest import Manifest
from finelens.data.sources.a2d import find_a2d, read_a2d
from finelens.data.sources.array_files import ARRAY_EXTENSIONS
from finelens.data.sources.arrays import holds_arrays, read_arrays
from finelens.data.sources.folder import read_folder
from finelens.data.sources.frame_folders import (
    ANNOTATIONS,
    holds_frame_folders,
    is_annotations,
    read_frame_folders,
)
from finelens.data.sources.table import TABLES_OF_FOLDERS, find_table, read_table
from finelens.data.sources.ucf11 import find_ucf11, read_ucf11
from finelens.data.sources.voc import find_voc, read_voc
from finelens.errors import DataError, did_you_mean, typed
from finelens.progress import Progress

TABLE_EXTENSIONS = (".csv", ".tsv", ".parquet")
"""Tables, in lower case."""


def read_source(
    path: str | Path,
    *,
    source: str = "auto",
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    is_clips: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Return the manifest of the pictures or clips at a path; its splits are those given there.

    Args:
        path: A folder, a table, an array file or a list of folders of frames; ``~`` is the home
            folder.
        source: A key of ``SOURCES``, or ``auto``. A .csv, .tsv or .parquet file is a table, an
            .npy or .npz file is arrays, a .txt file of lines ``PATH FIRST LAST LABEL`` is frames.
            The first of these that a folder has says what it is: ``ImageSets/Main`` or VOCdevkit
            is voc, ``list/train.txt`` or ``videoset.csv`` beside ``pngs320H`` or
            ``Annotations/mat`` a2d, manifest.csv or manifest.parquet table, clips in
            ``CLASS/v_NAME_01/`` ucf11, annotations.txt with such lines frames, index.csv with
            columns path and label table, .npy or .npz files arrays; any other holds class folders,
            of pictures or of videos, unless a folder in it has such an annotations.txt.
        task: ``auto``, ``multi-class`` or ``multi-label``; see ``build_manifest``.
        classes: All classes in order; None takes those found. Give a model's own classes when
            it is evaluated, so that a picture of another class is refused.
        label_separator: The mark between labels in a table's cell; see ``read_table``.
        is_clips: Whether clips are asked for: pictures in ``CLASS/CLIP/`` are then the frames of
            clips, which nothing else tells.
        progress: Who watches where reading takes long; see ``read_a2d``.

    Raises:
        DataError: If nothing is there, or the reader or ``build_manifest`` refuses it.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f'data "{path}" does not exist')
    if source == "auto":
        source = _guess(path, is_clips=is_clips)
    if source not in SOURCES:
        raise DataError(f'data.source: "{source}" is unknown{did_you_mean(source, SOURCES)}')
    if source == "table":
        path = _table_at(path)
    elif source not in _OF_FILES and not path.is_dir():
        raise DataError(f'data "{path}" is a file; data.source {source} needs a folder')
    return SOURCES[source](
        path, task=task, classes=classes, label_separator=label_separator, progress=progress
    )


def _guess(path: Path, *, is_clips: bool) -> str:
    if path.is_file():
        return _guess_file(path)
    if find_voc(path) is not None:
        return "voc"
    if find_a2d(path) is not None:
        return "a2d"
    if any((path / name).is_file() for name in TABLES_OF_FOLDERS):
        return "table"
    if find_ucf11(path) is not None:
        return "ucf11"
    if is_annotations(path / ANNOTATIONS):
        return "frames"
    if find_table(path) is not None:
        return "table"
    if holds_arrays(path):
        return "arrays"
    _check_no_data_below(path)
    return "frames" if is_clips and holds_frame_folders(path) else "folder"


def _check_no_data_below(path: Path) -> None:
    """Raise where a folder's own folders are data sets: their names are no classes."""
    below = [
        folder.name
        for folder in sorted(path.iterdir())
        if folder.is_dir() and is_annotations(folder / ANNOTATIONS)
    ]
    if below:
        first = f"{path}/{below[0]}"
        raise DataError(
            f'data "{path}" holds no {ANNOTATIONS}, and its folders '
            f"{', '.join(below[:3])}{', ...' if len(below) > 3 else ''} do: give one of them, "
            f"such as {typed(first)}; or set the source to folder if their names are classes"
        )


def _guess_file(path: Path) -> str:
    kind = path.suffix.lower()
    if kind in TABLE_EXTENSIONS:
        return "table"
    if kind in ARRAY_EXTENSIONS:
        return "arrays"
    if kind == ".txt" and is_annotations(path):
        return "frames"
    known = ", ".join(TABLE_EXTENSIONS + ARRAY_EXTENSIONS)
    raise DataError(f'data "{path}" is neither a folder nor a table or arrays ({known})')


def _table_at(path: Path) -> Path:
    if path.is_file():
        return path
    table = find_table(path)
    if table is None:
        names = " or ".join(TABLES_OF_FOLDERS)
        raise DataError(f'folder "{path}" holds no {names}; give the table itself')
    return table


SOURCES = {
    "a2d": read_a2d,
    "arrays": read_arrays,
    "folder": read_folder,
    "frames": read_frame_folders,
    "table": read_table,
    "ucf11": read_ucf11,
    "voc": read_voc,
}
_OF_FILES = ("arrays", "frames")
