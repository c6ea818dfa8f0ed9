"""The video file: its packets and its decoded frames, with the times they are shown at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.codec.codec import Properties
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from finelens.errors import DataError

# a closed list: the library would also read text files, playlists and web addresses
_CONTAINERS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,gif,asf,flv"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# their index names the time of every key frame; elsewhere a seek is a guess
_SEEKABLE = ("mov", "matroska")
# the usual decoders of these know no transparency
_DECODERS_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_UNKNOWN = "not a video of a known kind, or cut off before its table of frames"
_ERRORS = (FFmpegError, ValueError, MemoryError)


class VideoFile:
    """An open video file, read from any time on and as often as one likes.

    Args:
        path: What messages call it.
        container: The open container.
        stream: Its video stream.

    Attributes:
        num_damaged: Packets that could not be decoded since the last ``rewind``.
        num_torn: Frames decoded since then, and counted by who took them, that hold errors.
    """

    def __init__(self, path: str, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.container = container
        self.stream = stream
        self.num_damaged = self.num_torn = 0
        self._decoder = _decoder_of(stream)
        # whole numbers: fractions would take a tenth of the time of a small clip
        self._start = stream.start_time or 0
        tick_s = stream.time_base or Fraction(1, 1000)
        self._seconds_per, self._ticks_per = tick_s.numerator, tick_s.denominator

    @property
    def kind(self) -> str:
        """Return the first of the container's names, such as ``mov`` or ``avi``."""
        return self.container.format.name.split(",")[0]

    @property
    def is_intra_only(self) -> bool:
        """Return whether the codec makes every frame of one packet alone."""
        return bool(self._decoder.codec.properties & Properties.INTRA_ONLY.value)

    @property
    def interval_s(self) -> float:
        """Return the mean seconds from frame to frame, 0.04 where the file does not tell."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(1 / rate) if rate else 0.04

    def rewind(self, time_s: float = 0.0) -> None:
        """Go to the last key frame at or before a time, or where none is sure to the beginning."""
        self.num_damaged = self.num_torn = 0
        target = self._start + int(time_s * self._ticks_per / self._seconds_per)
        if target > self._start and self.kind in _SEEKABLE:
            self._seek(target)
            if self._starts_by(time_s):
                return self._seek(target)
        return self._seek(None)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the stream's packets that hold data; an error in the file ends them."""
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    yield packet
        except FFmpegError:
            self.num_damaged += 1

    def frames(
        self, is_chosen: Callable[[Packet[VideoStream]], bool] | None = None
    ) -> Iterator[tuple[float, VideoFrame]]:
        """Yield each frame in the order shown with its time, seconds from the clip's beginning.

        A packet that cannot be decoded is left out and counted.

        Args:
            is_chosen: Which packets are decoded, for codecs that are ``is_intra_only``.
        """
        time_s = -self.interval_s
        for packet in self.packets():
            if is_chosen is None or is_chosen(packet):
                for frame in self._decode(packet):
                    time_s = self._next_time(frame, time_s)
                    yield time_s, frame
        for frame in self._decode(None):
            time_s = self._next_time(frame, time_s)
            yield time_s, frame

    def time_of(self, ticks: int | None) -> float | None:
        """Return a time stamp in seconds from the clip's beginning."""
        return None if ticks is None else self.length_of(ticks - self._start)

    def length_of(self, ticks: int) -> float:
        """Return a number of the stream's ticks in seconds."""
        return ticks * self._seconds_per / self._ticks_per

    def _starts_by(self, time_s: float) -> bool:
        first = next(self.packets(), None)
        shown_s = None if first is None else self.time_of(first.pts)
        return first is not None and first.is_keyframe and shown_s is not None and shown_s <= time_s

    def _next_time(self, frame: VideoFrame, previous_s: float) -> float:
        time_s = self.time_of(frame.pts)
        return previous_s + self.interval_s if time_s is None else time_s

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        try:
            return self._decoder.decode(packet)
        except FFmpegError:
            self.num_damaged += 1
            return []

    def _seek(self, ticks: int | None) -> None:
        if ticks is None:
            self.container.seek(0)
        else:
            self.container.seek(ticks, stream=self.stream)
        if self._decoder.is_open:
            self._decoder.flush_buffers()


@contextmanager
def open_video(path: str) -> Iterator[VideoFile]:
    """Open a video file; cover pictures are no video.

    Raises:
        DataError: If it is missing, empty, of no known kind or without a video stream, or if
            what is done with it fails; the message begins with the path.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except (OSError, *_ERRORS) as error:
        if isinstance(error, OSError) and not isinstance(error, FFmpegError):
            raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
        raise DataError(f"{path}: {_UNKNOWN} ({_reason(error)})") from error
    with container:
        videos = [stream for stream in container.streams.video
                  if not stream.disposition & Disposition.attached_pic]  # fmt: skip
        if not videos:
            reason = "the file holds no video stream" if container.streams else _UNKNOWN
            raise DataError(f"{path}: {reason}")
        try:
            yield VideoFile(path, container, videos[0])
        except _ERRORS as error:
            raise DataError(f"{path}: the video is damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, FFmpegError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return a decoder of one thread: clips are read by several processes at once."""
    decoder = stream.codec_context
    name = _DECODERS_WITH_ALPHA.get(decoder.codec.canonical_name)
    if stream.metadata.get("alpha_mode") == "1" and name in av.codecs_available:
        other = VideoCodecContext.create(name, "r")
        decoder = other if isinstance(other, VideoCodecContext) else decoder
    decoder.thread_count = 1
    return decoder
