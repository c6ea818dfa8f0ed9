"""The facts of a clip, found by decoding all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finelens.data.clip_arrays import open_clip_array
from finelens.data.clip_places import ClipPlace, parse_place
from finelens.data.clips import read_clip, time_range
from finelens.data.example import Span
from finelens.data.fingerprints import Fingerprint, fingerprint_clip
from finelens.data.frame_cache import FrameCache
from finelens.data.frame_folders import check_size, list_frames, missing_frames_note, read_frame
from finelens.data.sampling import Sampling
from finelens.data.video import watch_video
from finelens.errors import DataError

_BATCH = 8
# each holds eight frames at full size
_MOST_THREADS = 8
_LOOKED_AT = Sampling(8)
# another number forgets the facts that older ones found
_VERSION = 1


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
        fingerprint: Of eight of its frames.
    """

    num_frames: int
    duration_s: float | None
    height: int
    width: int
    note: str | None
    fingerprint: Fingerprint


def probe_clip(
    path: str, span: Span = (None, None), *, cache: FrameCache | None = None
) -> ClipFacts:
    """Return the facts of a clip; every frame is decoded.

    Args:
        path: As ``read_clip`` takes it.
        span: The part of a video that is the clip, seconds.
        cache: Keeps the facts: a file that is not another is decoded once for them.

    Raises:
        DataError: If it cannot be read; the message begins with the path.
    """
    if cache is None:
        return _probe(path, span)

    def compute() -> NDArray[np.uint8]:
        facts = json.dumps(asdict(_probe(path, span)))
        return np.frombuffer(facts.encode(), dtype=np.uint8)

    kept = cache.get(path, f"facts {_VERSION} {span}", compute).tobytes()
    try:
        facts = json.loads(kept)
        return ClipFacts(**facts | {"fingerprint": Fingerprint(**facts["fingerprint"])})
    except (KeyError, TypeError, ValueError):
        # a damaged entry costs its file one more decoding each time, and nothing else
        return _probe(path, span)


def probe_clips(
    places: Sequence[tuple[str, Span]],
    *,
    cache: FrameCache | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[ClipFacts | str]:
    """Return the facts of each clip, or the reason why it cannot be read, in the order given.

    Decoded in as many threads as there are processors, at most eight.

    Args:
        places: Absolute places, as ``read_clip`` takes them, with their spans.
        cache: See ``probe_clip``.
        progress: Called now and then with the number of clips done since the last call.
    """
    batches = [places[start : start + _BATCH] for start in range(0, len(places), _BATCH)]
    found: list[ClipFacts | str] = []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as threads:
        for facts in threads.map(lambda batch: _probe_batch(batch, cache), batches):
            found += facts
            if progress is not None:
                progress(len(facts))
    return found


def _probe_batch(
    places: Sequence[tuple[str, Span]], cache: FrameCache | None
) -> list[ClipFacts | str]:
    found: list[ClipFacts | str] = []
    for path, span in places:
        try:
            found.append(probe_clip(path, span, cache=cache))
        except DataError as error:
            found.append(str(error).removeprefix(f"{path}: "))
    return found


def _probe(path: str, span: Span) -> ClipFacts:
    place = parse_place(path)
    if place.element is not None:
        frames_THWC = read_clip(path, _LOOKED_AT).frames_THWC
        num_frames = open_clip_array(place.path, member=place.member).shape[1]
        return _facts(frames_THWC, num_frames, None, None)
    if place.first is not None or Path(path).is_dir():
        try:
            return _probe_folder(place)
        except DataError as error:
            raise DataError(f"{path}: {str(error).removeprefix(f'{place.path}: ')}") from error
    watched = watch_video(path, _LOOKED_AT, time_range(path, *span))
    return _facts(watched.frames_THWC, watched.num_frames, watched.duration_s, watched.note)


def _probe_folder(place: ClipPlace) -> ClipFacts:
    names = list_frames(place.path, first=place.first, last=place.last)
    places_T, shots = _LOOKED_AT.indices(len(names)).tolist(), {}
    first = read_frame(place.path, names[0])
    for number, name in enumerate(names):
        picture = read_frame(place.path, name)
        check_size(place.path, name, picture, first)
        if number in places_T:
            shots[number] = picture
    note = missing_frames_note(names, first=place.first, last=place.last)
    return _facts(np.stack([shots[number] for number in places_T]), len(names), None, note)


def _facts(
    frames_THWC: NDArray[np.uint8], num_frames: int, duration_s: float | None, note: str | None
) -> ClipFacts:
    height, width = frames_THWC.shape[1:3]
    fingerprint = fingerprint_clip(frames_THWC, num_frames)
    return ClipFacts(num_frames, duration_s, height, width, note, fingerprint)
