"""Videos: T frames of a file, decoded once through and no further than they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from finelens.data.images import ImageArray
from finelens.data.sampling import Sampling
from finelens.data.time_range import TimeRange
from finelens.data.video_file import VideoFile, open_video
from finelens.data.video_frame import to_picture
from finelens.data.video_survey import Survey, describe_damage, survey_video
from finelens.errors import DataError

# some files give neighbouring frames each other's times
_DISORDER_S = 0.5


def read_video(
    path: str, sampling: Sampling, span: TimeRange
) -> tuple[NDArray[np.uint8], str | None]:
    """Return T frames of a video file, uint8 (T, H, W, 3), and what is wrong with the file.

    Frames are counted, not believed: the packets of the file say which to keep, and where
    decoding finds another number the file is decoded again. Every frame counts the same however
    long it is shown, so a clip of a variable frame rate is sampled where it has frames; times
    decide only what lies in the range. Where no frame begins in the range, the one shown at its
    start is taken. A frame of another size is scaled to the size of the first.

    Args:
        path: A video file.
        sampling: Which frames of the range.
        span: The range, seconds from the beginning.

    Raises:
        DataError: If nothing of the range can be decoded; the message begins with the path.
    """
    with open_video(path) as video:
        survey = survey_video(video, span, most=sampling.num_read)
        frames_THWC = _decode_apart(video, sampling, span, survey)
        if frames_THWC is not None:
            return frames_THWC, describe_damage(video, survey, survey.num_packets)
        frames_THWC, num_frames = _decode_through(video, sampling, span, survey)
        if num_frames == sampling.num_read:
            # the rest was not looked at
            num_frames = max(num_frames, survey.num_packets - survey.is_torn)
        return frames_THWC, describe_damage(video, survey, num_frames)


@dataclass(frozen=True)
class WatchedVideo:
    """A video of which every frame of a range was decoded.

    Attributes:
        frames_THWC: T of them, uint8.
        num_frames: How many there are.
        duration_s: Seconds from the range's start to the end of its last frame.
        note: What is wrong with the file, else None.
    """

    frames_THWC: NDArray[np.uint8]
    num_frames: int
    duration_s: float
    note: str | None


def watch_video(path: str, sampling: Sampling, span: TimeRange) -> WatchedVideo:
    """Return what decoding every frame of a range tells, and T of the frames.

    Args:
        path: A video file.
        sampling: Which frames are kept.
        span: The range, seconds from the beginning.

    Raises:
        DataError: As ``read_video``.
    """
    with open_video(path) as video:
        survey = survey_video(video, span)
        frames_THWC, num_frames = _decode_through(video, sampling, span, survey)
        duration_s = max(0.0, min(survey.end_s, span.end_s) - span.start_s)
        note = describe_damage(video, survey, num_frames)
        return WatchedVideo(frames_THWC, num_frames, duration_s, note)


def frames_in(video: VideoFile, span: TimeRange) -> Iterator[VideoFrame]:
    """Yield the frames of a time range; where none begins in it, the one shown at its start."""
    video.rewind(span.start_s)
    shown: VideoFrame | None = None
    shown_until_s, is_empty = 0.0, True
    for time_s, frame in video.frames():
        if time_s >= span.end_s + _DISORDER_S:
            shown_until_s = time_s
            break
        if time_s in span:
            is_empty = False
            video.num_torn += frame.is_corrupt
            yield frame
        elif time_s < span.start_s:
            shown, shown_until_s = frame, time_s + _length_s(video, frame)
        else:
            shown_until_s = time_s
    if is_empty and shown is not None and shown_until_s > span.start_s:
        video.num_torn += shown.is_corrupt
        yield shown


def _decode_apart(
    video: VideoFile, sampling: Sampling, span: TimeRange, survey: Survey
) -> NDArray[np.uint8] | None:
    """Return the frames by decoding nothing else, None where the codec or the file forbids it."""
    if not survey.are_apart or survey.is_torn or not survey.num_packets:
        return None
    wanted, position_T = np.unique(sampling.indices(survey.num_packets), return_inverse=True)
    places = set(wanted.tolist())
    place = -1

    def is_wanted(packet: Packet[VideoStream]) -> bool:
        nonlocal place
        time_s = video.time_of(packet.pts)
        is_inside = time_s is not None and time_s in span and not packet.is_discard
        place += is_inside
        return is_inside and place in places

    video.rewind(span.start_s)
    shots = _Shots()
    for _, frame in video.frames(is_wanted):
        shots.take(len(shots.pictures), frame)
        video.num_torn += frame.is_corrupt
        if place >= wanted[-1]:
            break
    if len(shots.pictures) != len(wanted):
        return None
    return shots.stack(position_T)


def _decode_through(
    video: VideoFile, sampling: Sampling, span: TimeRange, survey: Survey
) -> tuple[NDArray[np.uint8], int]:
    """Return the frames by decoding the range, and how many frames it was found to have."""
    shots, num_frames = _shoot(video, sampling, span, survey.num_packets)
    if num_frames and not shots.pictures.keys() >= set(sampling.indices(num_frames).tolist()):
        shots, num_frames = _shoot(video, sampling, span, num_frames)
    if num_frames:
        return shots.stack(sampling.indices(num_frames)), num_frames
    if not survey.num_packets and 0 < survey.end_s <= span.start_s:
        raise DataError(
            f"{video.path}: start_s {span.start_s:g} lies after the clip's end, "
            f"{survey.end_s:.2f} s"
        )
    raise DataError(f"{video.path}: no frame could be decoded")


def _shoot(
    video: VideoFile, sampling: Sampling, span: TimeRange, expected: int
) -> tuple[_Shots, int]:
    """Return the frames to keep if there are as many as expected, and how many there are."""
    num_frames, most = 0, sampling.num_read or math.inf
    wanted = set(sampling.indices(max(1, int(min(expected, most)))).tolist())
    shots = _Shots()
    for frame in frames_in(video, span):
        if num_frames in wanted:
            shots.take(num_frames, frame)
        num_frames += 1
        if num_frames >= most:
            break
    return shots, num_frames


class _Shots:
    """Pictures by their place in the clip, all of the first one's size."""

    def __init__(self) -> None:
        self.pictures: dict[int, ImageArray] = {}
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()

    def take(self, place: int, frame: VideoFrame) -> None:
        self._size = self._size or (frame.width, frame.height)
        width, height = self._size
        self.pictures[place] = to_picture(
            frame, width=width, height=height, reformatter=self._reformatter
        )

    def stack(self, places_T: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([self.pictures[place] for place in places_T.tolist()])


def _length_s(video: VideoFile, frame: VideoFrame) -> float:
    length_s = float((frame.duration or 0) * (frame.time_base or 0))
    return length_s or video.interval_s
