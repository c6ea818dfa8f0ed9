"""The frames of A2D: which there are, and the split of each."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import polars as pl

from finelens.data.manifest import SPLITS
from finelens.errors import DataError

PICTURES = "pngs320H"
ANNOTATIONS = "Annotations/mat"

_LIST_FOLDER, _VIDEOS = "list", "videoset.csv"
# a clip is a video's name: one folder, never the folder above
_FRAME = re.compile(r"(?P<clip>(?!\.{1,2}/)[^/\\\s]+)/[0-9]{5}")
_NUM_COLUMNS = 9
_USAGES = {"0": "train", "1": "test"}


def has_lists(root: Path) -> bool:
    """Return whether a folder says which frames there are."""
    return (root / _VIDEOS).is_file() or any(_list_files(root).values())


def list_frames(root: Path) -> pl.DataFrame:
    """Return the frames of the lists, or else of ``videoset.csv``, in order.

    Columns: frame (``CLIP/NNNNN``, unique), clip, split.

    Raises:
        DataError: If a line cannot be understood or names a frame again, or there is no frame.
    """
    files = _list_files(root)
    rows = _read_lists(files) if files else _read_videos(root / _VIDEOS, root / ANNOTATIONS)
    if not rows:
        raise DataError(f'folder "{root}": its lists name no frame')
    return pl.DataFrame(
        {"frame": list(rows), "split": list(rows.values())}, schema_overrides={"frame": pl.String}
    ).with_columns(clip=pl.col("frame").str.replace(r"/.*$", ""))


def _list_files(root: Path) -> dict[str, Path]:
    files = {split: root / _LIST_FOLDER / f"{split}.txt" for split in SPLITS}
    return {split: file for split, file in files.items() if file.is_file()}


def _read_lists(files: dict[str, Path]) -> dict[str, str]:
    """Return the split of each frame."""
    places: dict[str, tuple[str, int]] = {}
    for split, file in files.items():
        for number, line in enumerate(_lines(file), start=1):
            frame = line.strip()
            if not frame:
                continue
            if not _FRAME.fullmatch(frame):
                raise DataError(
                    f'list "{file}", line {number}: "{frame}" is no CLIP/FRAME with a frame of '
                    "five digits, such as _0djE279Srg/00015"
                )
            if frame in places:
                listed, before = places[frame]
                raise DataError(
                    f'list "{file}", line {number}: "{frame}" is on line {before} of {listed}.txt '
                    "already; name each frame once, in one list"
                )
            places[frame] = split, number
    return {frame: split for frame, (split, _) in places.items()}


def _read_videos(file: Path, annotations: Path) -> dict[str, str]:
    """Return the split of each annotated frame of the clips in the original release's table."""
    rows: dict[str, str] = {}
    for clip, split in _read_usages(file).items():
        found = sorted(path.stem for path in (annotations / clip).glob("*.mat"))
        frames = [f"{clip}/{stem}" for stem in found if _FRAME.fullmatch(f"{clip}/{stem}")]
        if not frames:
            raise DataError(
                f'folder "{annotations / clip}" holds no annotation such as 00015.mat, and '
                f"{file.name} names the clip; put it back, or take its line away"
            )
        rows |= dict.fromkeys(frames, split)
    return rows


def _read_usages(file: Path) -> dict[str, str]:
    usages: dict[str, str] = {}
    for number, row in enumerate(csv.reader(_lines(file)), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and not cells[-1].isdigit()):
            continue  # a blank line; names of columns, which the release has not
        is_whole = len(cells) == _NUM_COLUMNS and _FRAME.fullmatch(f"{cells[0]}/00000")
        if not is_whole or cells[-1] not in _USAGES:
            raise DataError(
                f'table "{file}", line {number}: "{",".join(row)}" is not a clip, eight facts '
                f"of it and, last of them, its usage 0 (train) or 1 (test)"
            )
        if cells[0] in usages:
            raise DataError(f'table "{file}", line {number}: clip "{cells[0]}" is named already')
        usages[cells[0]] = _USAGES[cells[-1]]
    return usages


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'list "{file}" cannot be read: {error}; put the original back') from error
