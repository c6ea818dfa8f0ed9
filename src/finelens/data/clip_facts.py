"""The facts of a clip, found by decoding all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from finelens.data.clip_arrays import open_clip_array
from finelens.data.clip_places import ClipPlace, parse_place
from finelens.data.clips import read_clip
from finelens.data.frame_folders import check_size, list_frames, read_frame
from finelens.data.sampling import Sampling
from finelens.data.time_range import TimeRange
from finelens.data.video_file import open_video
from finelens.data.video_frame import to_picture
from finelens.data.video_survey import describe_damage, survey_video
from finelens.errors import DataError

_BATCH = 8


@dataclass(frozen=True)
class ClipFacts:
    """What a clip holds.

    Attributes:
        num_frames: Frames that can be decoded.
        duration_s: Seconds from the first frame's time to the end of the last; None where frames
            have no times (folders, arrays).
        height: Pixels, as a person sees it: turned as its rotation flag says.
        width: Likewise.
        note: What a person should know of the file (cut off, damaged), None if it is sound.
    """

    num_frames: int
    duration_s: float | None
    height: int
    width: int
    note: str | None


def probe_clip(path: str) -> ClipFacts:
    """Return the facts of a clip; every frame is decoded.

    Args:
        path: As ``read_clip`` takes it.

    Raises:
        DataError: If it cannot be read; the message begins with the path.
    """
    place = parse_place(path)
    if place.element is not None:
        frames_THWC = read_clip(path, Sampling(1)).frames_THWC
        num_frames = open_clip_array(place.path, member=place.member).shape[1]
        return ClipFacts(num_frames, None, *frames_THWC.shape[1:3], note=None)
    if place.first is not None or Path(path).is_dir():
        try:
            return _probe_folder(place)
        except DataError as error:
            raise DataError(f"{path}: {str(error).removeprefix(f'{place.path}: ')}") from error
    return _probe_video(path)


def probe_clips(
    paths: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> dict[str, ClipFacts | str]:
    """Return the facts of each clip, or the reason why it cannot be read, in the order given.

    Decoded in as many threads as there are processors.

    Args:
        paths: Absolute places, as ``read_clip`` takes them.
        progress: Called now and then with the number of clips done since the last call.
    """
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    found: dict[str, ClipFacts | str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch, facts in zip(batches, threads.map(_probe_batch, batches), strict=True):
            found |= facts
            if progress is not None:
                progress(len(batch))
    return found


def find_unreadable_clips(
    paths: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> dict[str, str]:
    """Return the path and the reason of each clip of which nothing can be decoded.

    A clip that is cut off is readable; ``probe_clips`` has notes of such.

    Args:
        paths: See ``probe_clips``.
        progress: See ``probe_clips``.
    """
    found = probe_clips(paths, progress=progress)
    return {path: reason for path, reason in found.items() if isinstance(reason, str)}


def _probe_batch(paths: Sequence[str]) -> dict[str, ClipFacts | str]:
    found: dict[str, ClipFacts | str] = {}
    for path in paths:
        try:
            found[path] = probe_clip(path)
        except DataError as error:
            found[path] = str(error).removeprefix(f"{path}: ")
    return found


def _probe_video(path: str) -> ClipFacts:
    with open_video(path) as video:
        survey = survey_video(video, TimeRange())
        video.rewind()
        num_frames, size = 0, (0, 0)
        for _, frame in video.frames():
            if not num_frames:
                size = to_picture(frame, width=frame.width, height=frame.height).shape[:2]
            num_frames += 1
        if not num_frames:
            raise DataError(f"{path}: no frame could be decoded")
        note = describe_damage(video, survey, num_frames)
        return ClipFacts(num_frames, survey.end_s, *size, note=note)


def _probe_folder(place: ClipPlace) -> ClipFacts:
    names = list_frames(place.path, first=place.first, last=place.last)
    first = read_frame(place.path, names[0])
    for name in names[1:]:
        check_size(place.path, name, read_frame(place.path, name), first)
    return ClipFacts(len(names), None, *first.shape[:2], note=None)
