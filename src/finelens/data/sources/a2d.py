"""A2D: actors and actions in frames of videos, their labels in masks of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.manifest import Manifest, build_manifest
from finelens.data.sources.a2d_cache import label_values
from finelens.data.sources.a2d_lists import ANNOTATIONS, PICTURES, has_lists, list_frames
from finelens.data.sources.files import find_missing, list_folders
from finelens.errors import DataError, did_you_mean
from finelens.progress import Progress

_ACTORS = ("adult", "baby", "ball", "bird", "car", "cat", "dog")
_ACTIONS = ("climbing", "crawling", "eating", "flying", "jumping",
            "rolling", "running", "walking", "none")  # fmt: skip
_VALUES = (
    11, 12, 13, 15, 16, 17, 18, 19,
    21, 22, 26, 28, 29,
    34, 35, 36, 39,
    41, 43, 44, 45, 46, 48, 49,
    54, 55, 56, 57, 59,
    61, 63, 65, 66, 67, 68, 69,
    72, 73, 75, 76, 77, 78, 79,
)  # fmt: skip

CLASSES = {value: f"{_ACTORS[value // 10 - 1]}-{_ACTIONS[value % 10 - 1]}" for value in _VALUES}
"""The 43 valid pixel values in class order: tens are the actor, units the action."""


def read_a2d(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the frames that A2D's lists name, train, val, test, each in its order.

    A frame's labels are the classes in its mask of pixels; other values, background among them,
    are ignored. The group is the clip. Test frames without any annotation are unlabelled. Where
    there are no lists, ``videoset.csv`` divides the clips, and all annotated frames are taken.
    Labels are read once and kept in the user's cache folder.

    Args:
        path: The folder with ``list``, ``pngs320H`` and ``Annotations``, or its parent.
        task: See ``build_manifest``; ``auto`` is multi-label here.
        classes: Some of the 43 classes, in the order wanted; None takes all, in A2D's order.
        label_separator: Has no meaning here.
        progress: Who watches the annotations being read.

    Raises:
        DataError: If a list, a picture or an annotation is missing or cannot be read.
    """
    del label_separator
    root = find_a2d(path)
    if root is None:
        raise DataError(
            f'folder "{path}" holds no A2D data: list/train.txt (or videoset.csv) must lie beside '
            f"{PICTURES} and {ANNOTATIONS}"
        )
    classes = _choose_classes(classes)
    frames = list_frames(root)
    _check_pictures(root, frames)
    labels = _read_labels(root, frames, classes, progress)
    base = f"{root.absolute().as_posix().rstrip('/')}/"
    name = pl.lit(f"{PICTURES}/") + pl.col("frame") + pl.lit(".png")
    rows = frames.with_columns(labels, id=name, path=pl.lit(base) + name, group=pl.col("clip"))
    return build_manifest(
        rows,
        task="multi-label" if task == "auto" else task,
        classes=classes,
        group_origin="the clips that frames are of",
    )


def find_a2d(path: Path) -> Path | None:
    """Return the folder that holds A2D's lists beside pictures or masks, or None.

    It is the path itself, or the one folder in it that is such.
    """
    if not path.is_dir():
        return None
    if _is_a2d(path):
        return path
    inside = [path / name for name in list_folders(path) if _is_a2d(path / name)]
    return inside[0] if len(inside) == 1 else None


def _is_a2d(folder: Path) -> bool:
    has_data = (folder / PICTURES).is_dir() or (folder / ANNOTATIONS).is_dir()
    return has_data and has_lists(folder)


def _choose_classes(classes: Sequence[str] | None) -> tuple[str, ...]:
    known = tuple(CLASSES.values())
    for name in classes or ():
        if name not in known:
            raise DataError(f'data.classes: A2D has no class "{name}"{did_you_mean(name, known)}')
    return tuple(classes or known)


def _check_pictures(root: Path, frames: pl.DataFrame) -> None:
    paths = _paths(root / PICTURES, frames, ".png")
    missing = find_missing(paths)
    if missing:
        raise DataError(
            f'picture "{missing[0]}" is listed, and does not exist '
            f"({len(missing)} of {len(paths)} missing); put it back, or take it from the list"
        )


def _read_labels(
    root: Path, frames: pl.DataFrame, classes: Sequence[str], progress: Progress | None
) -> pl.Series:
    """Return the class names of each frame, null where it has no annotation."""
    annotated = frames.filter(_is_annotated(root, frames))["frame"].to_list()
    values = label_values(root, annotated, progress)
    labels = [_names(values[frame], classes) if frame in values else None
              for frame in frames["frame"]]  # fmt: skip
    return pl.Series("labels", labels, dtype=pl.List(pl.String))


def _is_annotated(root: Path, frames: pl.DataFrame) -> pl.Series:
    """Return whether each frame has an annotation: all have, or all but those of test."""
    paths = _paths(root / ANNOTATIONS, frames, ".mat")
    is_missing = paths.is_in(find_missing(paths))
    is_test = frames["split"] == "test"
    # the course keeps the test labels back: predictions are handed in
    is_kept_back = is_test & is_missing.filter(is_test).all()
    missing = paths.filter(is_missing & ~is_kept_back)
    if len(missing):
        raise DataError(
            f'annotation "{missing[0]}" does not exist ({len(missing)} of '
            f"{(~is_kept_back).sum()} missing); put it back, or take its frame from the list"
        )
    return ~is_kept_back


def _paths(folder: Path, frames: pl.DataFrame, suffix: str) -> pl.Series:
    base = pl.lit(f"{folder.absolute().as_posix()}/")
    return frames.select(base + pl.col("frame") + pl.lit(suffix)).to_series()


def _names(values: Sequence[int], classes: Sequence[str]) -> list[str]:
    found = [CLASSES[value] for value in values if value in CLASSES]
    return [name for name in found if name in classes]
