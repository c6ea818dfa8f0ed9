"""Class folders: the class of a picture or clip is the name of the folder it lies in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.clip_places import CLIP_EXTENSIONS, is_clip
from finelens.data.manifest import SPLIT_NAMES, Manifest, build_manifest
from finelens.data.sources.files import PICTURE_EXTENSIONS, is_picture, list_files, list_folders
from finelens.errors import DataError
from finelens.progress import Progress


def read_folder(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the pictures or videos below ``CLASS/`` or ``SPLIT/CLASS/`` folders, sorted by id.

    Split folders are called train, val, valid, validation or test in any case. Folders inside a
    class folder belong to that class; pictures in them are pictures, not the frames of a clip
    (see ``read_frame_folders``). A picture outside every class folder, such as those lying
    directly in ``test``, is listed without labels. A class folder with no picture is a class too.

    Args:
        path: The folder.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; None takes all class folders, sorted.
        label_separator: Has no meaning here: a folder's name is one label.
        progress: Has no meaning here: folders are listed at once.

    Raises:
        DataError: If there is no picture or clip, or both, no class folder, only one, or a
            mixture of split folders and class folders.
    """
    del label_separator, progress
    names = list_files(path, lambda name: is_picture(name) or is_clip(name))
    if not names:
        raise DataError(
            f'folder "{path}" holds no picture and no clip; pictures end in '
            f"{' '.join(PICTURE_EXTENSIONS)}, clips in {' '.join(CLIP_EXTENSIONS)}"
        )
    return label_by_folders(path, names, task=task, classes=classes)


def label_by_folders(
    path: Path, names: Sequence[str], *, task: str, classes: Sequence[str] | None, mark: str = ""
) -> Manifest:
    """Return the manifest of what lies in class folders, in the order of its names.

    Args:
        path: The folder that holds class folders or split folders.
        names: Ids: posix paths relative to it.
        task: See ``build_manifest``.
        classes: See ``build_manifest``; None takes all class folders, sorted.
        mark: What a path has at its end and an id has not: ``/`` for folders of frames.

    Raises:
        DataError: As ``read_folder``.
    """
    parts = pl.DataFrame({"id": names}).with_columns(part=pl.col("id").str.split("/"))
    has_splits = _has_split_folders(path, parts)
    table = _label(parts, depth=1 if has_splits else 0)
    if classes is None:
        classes = _class_folders(path, has_splits=has_splits)
        _check_class_folders(path, table, classes)
    root = path.absolute().as_posix().rstrip("/")
    table = table.with_columns(path=pl.lit(f"{root}/") + pl.col("id") + pl.lit(mark))
    return build_manifest(table, task=task, classes=classes)


def _label(parts: pl.DataFrame, *, depth: int) -> pl.DataFrame:
    part = pl.col("part")
    split = part.list.get(0).str.to_lowercase() if depth else pl.lit(None, dtype=pl.String)
    return parts.select(
        "id",
        labels=pl.when(part.list.len() > depth + 1).then(part.list.slice(depth, 1)),
        split=pl.when(part.list.len() > 1).then(split.replace(SPLIT_NAMES)),
    )


def _has_split_folders(path: Path, parts: pl.DataFrame) -> bool:
    inside = parts.filter(pl.col("part").list.len() > 1).select(
        top=pl.col("part").list.get(0), is_nested=pl.col("part").list.len() > 2
    )
    tops = inside.group_by("top").agg(pl.col("is_nested").any()).sort("top")
    is_split = pl.col("top").str.to_lowercase().is_in(list(SPLIT_NAMES))
    splits, others = tops.filter(is_split), tops.filter(~is_split)
    if splits.is_empty():
        return False
    if others.is_empty():
        return True
    # a class may be called "train": locomotives beside buses and cars
    if splits["top"].str.to_lowercase().to_list() == ["train"] and not splits["is_nested"].any():
        return False
    raise DataError(
        f'folder "{path}" mixes split folders ("{splits["top"][0]}") with other folders '
        f'("{others["top"][0]}"); put class folders into train, val or test'
    )


def _class_folders(path: Path, *, has_splits: bool) -> tuple[str, ...]:
    tops = list_folders(path)
    if not has_splits:
        return tuple(tops)
    split_folders = [top for top in tops if top.lower() in SPLIT_NAMES]
    return tuple(sorted({name for top in split_folders for name in list_folders(path / top)}))


def _check_class_folders(path: Path, table: pl.DataFrame, classes: Sequence[str]) -> None:
    if table["labels"].null_count() == table.height:
        raise DataError(
            f'folder "{path}" has no class folders: pictures or clips must lie in CLASS/ or '
            "train/CLASS/"
        )
    if len(classes) == 1:
        inner = list_folders(path / classes[0]) if (path / classes[0]).is_dir() else []
        mend = (
            f'; if its folders ("{inner[0]}") are the classes, give "{path / classes[0]}"'
            if inner
            else "; add a folder for each other class"
        )
        raise DataError(f'folder "{path}" has only one class, "{classes[0]}"{mend}')
