"""Folders of frames: every clip a folder of numbered pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.clip_places import ClipPlace, is_clip
from finelens.data.manifest import SPLIT_NAMES, Manifest, build_manifest
from finelens.data.sources.files import (
    check_files_exist,
    is_picture,
    list_files,
    list_pictures,
)
from finelens.data.sources.folder import label_by_folders
from finelens.data.sources.numbered import as_numbers, name_classes
from finelens.data.sources.spans import CUT_FROM, group_spans
from finelens.errors import DataError
from finelens.progress import Progress

ANNOTATIONS = "annotations.txt"
"""A folder that holds such a file, its lines ``PATH FIRST LAST LABEL...``, is read by it."""

NAMES = "classes.txt"
"""Beside it, one name a line: what its numbers mean, from 0."""

_LINE = "PATH FIRST LAST LABEL..."


def read_frame_folders(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the clips of an annotations file, in its order, or of class folders, by id.

    A line of the file says ``PATH FIRST LAST LABEL...``, between spaces, or between tabs where
    a path holds spaces: a folder relative to the file's, the numbers in the names of its first
    and last frame, and any number of labels. The place is ``FOLDER#FIRST-LAST``. Clips that are
    cut from one folder have it as their group.

    Without such a file, every folder below ``CLASS/`` or ``SPLIT/CLASS/`` that holds pictures is
    a clip.

    Args:
        path: The file, or a folder.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; also names numbered labels where ``classes.txt`` does not.
        label_separator: Has no meaning here.
        progress: Has no meaning here.

    Raises:
        DataError: If a line cannot be understood, a folder is missing, pictures lie in no
            folder of their clip, or ``build_manifest`` refuses.
    """
    del label_separator, progress
    file = path if path.is_file() else path / ANNOTATIONS
    if not file.is_file():
        return _read_class_folders(path, task=task, classes=classes)
    rows = _read_lines(file)
    check_files_exist(rows["path"], where=f'annotations "{file}"')
    labels, classes = name_classes(
        as_numbers(rows["labels"]),
        names=_read_names(file.parent / NAMES),
        classes=classes,
        where=f'annotations "{file}"',
    )
    rows = rows.with_columns(labels=labels, group=pl.lit(None, dtype=pl.String))
    return build_manifest(group_spans(rows), task=task, classes=classes, group_origin=CUT_FROM)


def holds_frame_folders(path: Path) -> bool:
    """Return whether all that lies below a folder are pictures in ``CLASS/CLIP/``.

    They may be frames of clips, or pictures in folders of their own.
    """
    names = list_files(path, lambda name: is_picture(name) or is_clip(name))
    folders = {name.rpartition("/")[0] for name in names}
    has_videos = any(is_clip(name) and not is_picture(name) for name in names)
    return bool(names) and not has_videos and not any(_is_flat(name) for name in folders)


def is_annotations(file: Path) -> bool:
    """Return whether a file is a list of folders of frames, by its first line."""
    try:
        with file.open(encoding="utf-8") as lines:
            first = next((line for line in lines if line.strip()), "")
    except (OSError, UnicodeDecodeError):
        return False
    return _parts(first) is not None


def _read_class_folders(path: Path, *, task: str, classes: Sequence[str] | None) -> Manifest:
    clips = sorted({name.rpartition("/")[0] for name in list_pictures(path)})
    if not clips:
        raise DataError(f'folder "{path}" holds neither {ANNOTATIONS} nor pictures')
    flat = [name for name in clips if _is_flat(name)]
    if flat:
        raise DataError(
            f'folder "{path / flat[0]}" holds pictures and lies in no class folder '
            f"({len(flat)} such folders); for data.source frames a clip is CLASS/CLIP/ or "
            "train/CLASS/CLIP/"
        )
    return label_by_folders(path, clips, task=task, classes=classes, mark="/")


def _is_flat(name: str) -> bool:
    top, _, rest = name.partition("/")
    # what lies directly in a test folder is unlabelled
    is_split = SPLIT_NAMES.get(top.lower(), "test") != "test"
    return not rest or (is_split and "/" not in rest)


def _read_lines(file: Path) -> pl.DataFrame:
    base = file.absolute().parent
    rows: list[tuple[str, str, list[str] | None]] = []
    for number, line in enumerate(_text_of(file).splitlines(), start=1):
        if not line.strip():
            continue
        parts = _parts(line)
        if parts is None or parts[1] > parts[2]:
            raise DataError(f'annotations "{file}": line {number} says "{line}"; write {_LINE}')
        name, first, last, labels = parts
        place = ClipPlace((base / name).as_posix(), first=first, last=last)
        identity = ClipPlace(name, first=first, last=last)
        rows.append((str(identity), str(place), list(dict.fromkeys(labels)) or None))
    if not rows:
        raise DataError(f'annotations "{file}" is empty; write {_LINE}')
    schema = {"id": pl.String, "path": pl.String, "labels": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _parts(line: str) -> tuple[str, int, int, list[str]] | None:
    parts = line.strip().split("\t") if "\t" in line else line.split()
    if len(parts) < 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return parts[0].rstrip("/"), int(parts[1]), int(parts[2]), parts[3:]


def _read_names(file: Path) -> list[str] | None:
    if not file.is_file():
        return None
    return [line.strip() for line in _text_of(file).splitlines() if line.strip()]


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'"{file}" cannot be read: {error}') from error
