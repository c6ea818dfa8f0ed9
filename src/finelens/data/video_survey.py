"""The survey of a video file: what its packets tell before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finelens.data.time_range import TimeRange
from finelens.data.video_file import VideoFile

# packets lie in the order of decoding, which is a few frames off the order shown
_REORDERED = 32
# their headers tell how long the video is; those of others are guessed from the bit rate
_HONEST = ("mov", "matroska", "avi")
_GIF_TRAILER = b";"


@dataclass(frozen=True)
class Survey:
    """What the packets of a time range tell; a frame a packet is likely, not certain.

    Attributes:
        num_packets: Packets shown within the range.
        end_s: When the last packet met ends.
        is_at_end: Whether the file's end was reached.
        is_torn: Whether the last packet met is incomplete.
        are_apart: Whether every packet is a key frame of a codec that knows no others.
    """

    num_packets: int
    end_s: float
    is_at_end: bool
    is_torn: bool
    are_apart: bool


def survey_video(video: VideoFile, span: TimeRange, *, most: int | None = None) -> Survey:
    """Return what a video's packets tell of a time range; headers are not asked.

    Args:
        video: The open file; it is rewound.
        span: The time range.
        most: Packets within the range after which no more are needed.
    """
    video.rewind(span.start_s)
    num_packets, end_s, are_apart = 0, 0.0, video.is_intra_only
    is_torn, was_torn = False, False
    for packet in video.packets():
        decoded_s = video.time_of(packet.pts if packet.dts is None else packet.dts)
        enough = most is not None and num_packets >= most + _REORDERED
        if enough or (decoded_s is not None and decoded_s >= span.end_s):
            return Survey(num_packets, end_s, False, False, are_apart)
        time_s = _shown_s(video, packet.pts, packet.dts, end_s)
        length_s = video.length_of(packet.duration or 0) or video.interval_s
        end_s = max(end_s, time_s + length_s)
        num_packets += time_s in span and not packet.is_discard
        # the very last packet may be a rest that the parser found sound
        is_torn, was_torn = packet.is_corrupt, is_torn
        are_apart = are_apart and packet.is_keyframe
    return Survey(num_packets, end_s, True, is_torn or was_torn, are_apart)


def promised_s(video: VideoFile) -> float | None:
    """Return how many seconds of video the headers promise, None where they do not tell."""
    if video.kind not in _HONEST:
        return None
    stream, container = video.stream, video.container
    length_s = float((stream.duration or 0) * (stream.time_base or 0))
    if video.kind == "avi":
        # the length is measured by the file's size, the number of frames is as it was written
        return max(length_s, stream.frames * video.interval_s)
    if length_s:
        return length_s
    if "DURATION" in stream.metadata:
        return _clock_s(stream.metadata["DURATION"])
    # other streams may be longer than the video
    is_alone = len(container.streams) == 1 and container.duration is not None
    return (container.duration or 0) / 1e6 if is_alone else None


def describe_damage(video: VideoFile, survey: Survey, num_frames: int) -> str | None:
    """Return what a person should know of a file that is cut off or damaged, None if sound.

    Args:
        video: The file, decoded since it was last rewound.
        survey: Of its packets.
        num_frames: Frames that could be decoded.
    """
    counted = "1 frame" if num_frames == 1 else f"{num_frames} frames"
    promise_s = promised_s(video)
    # a last frame's length is often unknown
    is_short = promise_s is not None and survey.end_s + 2.5 * video.interval_s < promise_s
    if survey.is_at_end and (is_short or survey.is_torn or _is_cut_gif(video)):
        length = f", {survey.end_s:.1f} of {promise_s:.1f} s" if is_short else ""
        return f"cut off in the middle: {counted} could be decoded{length}"
    if not (video.num_damaged or video.num_torn):
        return None
    told = [f"damaged: {counted} could be decoded"]
    if video.num_damaged:
        packets = "1 packet" if video.num_damaged == 1 else f"{video.num_damaged} packets"
        told.append(f"{packets} could not")
    if video.num_torn:
        told.append(f"{video.num_torn} of them with errors")
    return ", ".join(told)


def _shown_s(video: VideoFile, pts: int | None, dts: int | None, end_s: float) -> float:
    time_s = video.time_of(dts if pts is None else pts)
    return end_s if time_s is None else time_s


def _clock_s(clock: str) -> float | None:
    """Return the seconds of ``HH:MM:SS.fraction``."""
    try:
        hours, minutes, seconds = (float(part) for part in clock.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _is_cut_gif(video: VideoFile) -> bool:
    if video.kind != "gif":
        return False
    with Path(video.path).open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 64))
        return not file.read().rstrip(b"\0\r\n").endswith(_GIF_TRAILER)
