"""Frame folders: a clip stored as a folder of pictures, one a frame."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finelens.data.images import ImageArray, read_image
from finelens.data.sampling import Sampling
from finelens.data.sources.files import is_picture
from finelens.errors import DataError


def list_frames(folder: str, *, first: int | None = None, last: int | None = None) -> list[str]:
    """Return the names of the pictures directly in a folder in the order of their numbers.

    ``img_2.png`` comes before ``img_10.png``; hidden files are left out.

    Args:
        folder: Where they lie.
        first: Frames with a smaller number (the last one in the file's name) are left out.
        last: Frames with a larger number are left out.

    Raises:
        DataError: If the folder cannot be listed or holds no such picture.
    """
    try:
        names = [name for name in os.listdir(folder) if is_picture(name)]  # noqa: PTH208
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error
    if not names:
        raise DataError(f"{folder}: the folder holds no pictures; a clip needs at least one frame")
    low, high = first or 0, math.inf if last is None else last
    if first is not None or last is not None:
        names = [name for name in names if low <= _number(name) <= high]
    if not names:
        raise DataError(f"{folder}: no frame has a number from {low} to {high}")
    return sorted(names, key=_natural)


def read_frame_folder(
    folder: str, sampling: Sampling, *, first: int | None = None, last: int | None = None
) -> tuple[NDArray[np.uint8], str | None]:
    """Return T of a folder's pictures, uint8 (T, H, W, 3), and ``missing_frames_note``.

    Only those pictures are read.

    Args:
        folder: Where they lie.
        sampling: Which of them.
        first: See ``list_frames``.
        last: See ``list_frames``.

    Raises:
        DataError: If there is none, one cannot be read, or one differs in size from the first;
            the message begins with the folder and names the frame.
    """
    names = list_frames(folder, first=first, last=last)
    places, position_T = np.unique(sampling.indices(len(names)), return_inverse=True)
    pictures: list[ImageArray] = []
    for place in places.tolist():
        picture = read_frame(folder, names[place])
        check_size(folder, names[place], picture, (pictures or [picture])[0])
        pictures.append(picture)
    note = missing_frames_note(names, first=first, last=last)
    return np.stack(pictures)[position_T], note


def missing_frames_note(
    names: Sequence[str], *, first: int | None = None, last: int | None = None
) -> str | None:
    """Return what a person should know where a folder does not reach from a first to a last frame.

    Numbers left out in between are no loss: frames may be every fifth of a video.

    Args:
        names: What ``list_frames`` found.
        first: Number of the frame that should be the first; None asks for none.
        last: Number of the frame that should be the last.
    """
    lowest, highest = _number(names[0]), _number(names[-1])
    if first is None or last is None or (lowest <= first and highest >= last):
        return None
    return f"incomplete: frames {lowest} to {highest} are there, of {first} to {last}"


def read_frame(folder: str, name: str) -> ImageArray:
    """Return one frame of a folder.

    Raises:
        DataError: If it cannot be read; the message begins with the folder.
    """
    file = Path(folder) / name
    try:
        return read_image(file)
    except DataError as error:
        reason = str(error).removeprefix(f"{file}: ")
        raise DataError(f"{folder}: frame {name}: {reason}") from error


def check_size(folder: str, name: str, picture: ImageArray, first: ImageArray) -> None:
    """Raise where a frame differs in size from the first.

    Raises:
        DataError: Naming the frame and both sizes; the message begins with the folder.
    """
    if picture.shape != first.shape:
        sizes = [f"{width} x {height}" for height, width, _ in (picture.shape, first.shape)]
        raise DataError(
            f"{folder}: frame {name} is {sizes[0]} pixels, the first is {sizes[1]}; "
            "the frames of a clip must have one size"
        )


def _number(name: str) -> float:
    """Return the last number in a file's name, NaN where it has none: no range holds it."""
    digits = re.findall(r"[0-9]+", Path(name).stem)
    return int(digits[-1]) if digits else math.nan


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that orders runs of digits by their value and the rest by characters."""
    parts = re.split(r"([0-9]+)", name)
    # a name alternates between text and digits, so that like is compared with like
    return [(int(part), "") if n % 2 else (0, part) for n, part in enumerate(parts)], name
