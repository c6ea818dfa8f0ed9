"""Clips: T pictures of a video file, a folder of frames or a row of an array file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finelens.data.clip_arrays import read_array_element
from finelens.data.clip_places import is_clip, parse_place
from finelens.data.frame_folders import read_frame_folder
from finelens.data.sampling import Sampling
from finelens.data.sources.files import is_picture
from finelens.data.time_range import TimeRange
from finelens.data.video import read_video
from finelens.errors import DataError


@dataclass(frozen=True)
class Clip:
    """T pictures of one clip, uint8 (T, H, W, 3), red first, in the order shown.

    ``note`` says what a person should know of the clip (cut off, damaged, incomplete), else None.
    """

    frames_THWC: NDArray[np.uint8]
    note: str | None


def read_clip(
    path: str, sampling: Sampling, *, start_s: float | None = None, end_s: float | None = None
) -> Clip:
    """Return T frames of a clip; one with fewer frames than asked repeats its last.

    Args:
        path: A video file (its content tells the kind), a folder of pictures, or an element of an
            array file; see ``parse_place``.
        sampling: Which frames.
        start_s: Of a video file: seconds from its beginning; None is the beginning.
        end_s: Of a video file: frames from this second on are left out; None is the end.

    Raises:
        DataError: If it is missing, empty or damaged, or the range does not fit; one line that
            begins with the path. A file cut off in the middle is no error: see ``Clip.note``.
    """
    place = parse_place(path)
    is_folder = place.first is not None or Path(path).is_dir()
    if place.element is None and not is_folder:
        return _read_file(path, sampling, time_range(path, start_s, end_s))
    if start_s is not None or end_s is not None:
        raise DataError(f"{path}: start_s and end_s can select from video files only")
    try:
        if place.element is None:
            frames_THWC, note = read_frame_folder(
                place.path, sampling, first=place.first, last=place.last
            )
        else:
            note = None
            frames_THWC = read_array_element(
                place.path, place.element, sampling, member=place.member
            )
    except DataError as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{place.path}: ')}") from error
    return Clip(frames_THWC, note)


def _read_file(path: str, sampling: Sampling, span: TimeRange) -> Clip:
    try:
        frames_THWC, note = read_video(path, sampling, span)
    except DataError as error:
        name = Path(path).name
        if not is_picture(name) or is_clip(name) or not Path(path).is_file():
            raise
        raise DataError(
            f"{path}: no video, but a picture by its name; give a video, or the folder that holds "
            "the frames of a clip"
        ) from error
    return Clip(frames_THWC, note)


def time_range(path: str, start_s: float | None, end_s: float | None) -> TimeRange:
    """Return the time range of two optional seconds of a clip.

    Raises:
        DataError: If they are none; the message begins with the path.
    """
    try:
        return TimeRange.of(start_s, end_s)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
