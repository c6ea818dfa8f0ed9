"""The decoder: what one process of its own does with a file nobody vouches for.

It is the child's side of ``decoding.py``. A file is looked at from the outside in: its first bytes,
its header, then its content, which only the reader of ``finelens predict`` decodes. What goes back
is plain bytes and JSON: nothing that the other side would have to unpickle.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset, Sample
from finelens.data.example import Span
from finelens.data.images import PICTURE_KINDS, picture_size
from finelens.data.one_thread import one_thread
from finelens.data.preprocessing import Preprocessing
from finelens.data.video_file import open_video
from finelens.errors import DataError
from finelens.web.file_kind import HEAD_BYTES, file_kind
from finelens.web.limits import Limits
from finelens.web.thumbnail import draw_thumbnail

if TYPE_CHECKING:
    # FastAPI comes with it, which this process does not need
    from finelens.web.problems import Kind

READY, DONE, REFUSED = b"r", b"d", b"x"
"""The first byte of what a decoder says: it has started, here are the bytes, or why there are none
(JSON: a problem's kind and its detail)."""

CLIP_KINDS = ("MP4", "MOV", "WebM", "MKV", "AVI", "MPEG", "GIF")
"""What people call the videos that are known."""

_SPARE_BYTES = 1 << 30
_BYTES_PER_PIXEL = 40  # grey of 16 bits passes through float64, and each step has a copy


class Job(Protocol):
    """Something a decoder does; it is pickled on its way there, and only there."""

    def run(self, limits: Limits) -> bytes:
        """Return what was asked for.

        Raises:
            RefusedError: If the file is beyond the limits.
            DataError: If it cannot be read; the message begins with its path.
        """
        ...


class RefusedError(Exception):
    """A file that is not decoded, with the kind of problem and its detail."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind: Kind = kind


@dataclass(frozen=True)
class View:
    """The job of making the network's view of an uploaded file: see ``unpack_view``."""

    path: str
    preprocessing: Preprocessing

    def run(self, limits: Limits) -> bytes:
        """Return the view as ``finelens predict`` makes it."""
        frames = self.preprocessing.frames
        check_kind(self.path, is_clip=frames is not None)
        if frames is None:
            check_picture(self.path, limits)
        else:
            check_clip(self.path, limits, frames=frames)
        dataset = PictureDataset(
            [self.path],
            np.zeros((1, 1), dtype=np.float32),
            Augmentation("none", self.preprocessing),
            on_error="row",
        )
        sample = dataset[0, 0, 0]
        return pack_view(sample)


@dataclass(frozen=True)
class Thumbnail:
    """The job of drawing an item of the run's own data, as ``draw_thumbnail`` does."""

    path: str
    span: Span
    is_clip: bool
    longest_px: int
    is_moving: bool

    def run(self, limits: Limits) -> bytes:
        """Return an encoded picture; the limits are for what strangers send."""
        del limits
        return draw_thumbnail(
            self.path,
            self.span,
            is_clip=self.is_clip,
            longest_px=self.longest_px,
            is_moving=self.is_moving,
        )


def pack_view(sample: Sample) -> bytes:
    """Return what ``unpack_view`` reads: the bytes of the view in C order, then its note's.

    Raises:
        DataError: If the sample is unreadable.
    """
    if sample.told.error is not None:
        raise DataError(sample.told.error)
    return sample.image.numpy().tobytes() + (sample.told.note or "").encode()


def unpack_view(
    packed: bytes, preprocessing: Preprocessing
) -> tuple[NDArray[np.uint8], str | None]:
    """Return the network's view, uint8 (C, S, S) or (T, C, S, S) of a clip, and its file's note."""
    frames = () if preprocessing.frames is None else (preprocessing.frames,)
    shape = (*frames, 3, preprocessing.size, preprocessing.size)
    num_bytes = math.prod(shape)
    # copied: tensors are not read-only
    view = np.frombuffer(packed[:num_bytes], np.uint8).reshape(shape).copy()
    return view, packed[num_bytes:].decode() or None


def check_kind(path: str, *, is_clip: bool) -> None:
    """Raise where a file is not of the kind that a model takes.

    Raises:
        RefusedError: With the kinds that are known.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise RefusedError("unreadable", "the file is empty")
    kind = file_kind(head)
    wanted, known = ("clip", CLIP_KINDS) if is_clip else ("picture", PICTURE_KINDS)
    if kind in {wanted, "gif"}:
        return
    found = "it is of no known kind" if kind == "unknown" else f"it is a {kind}"
    raise RefusedError(
        "unknown-kind" if kind == "unknown" else "wrong-kind",
        f"the model takes a {wanted} and {found}; known are {', '.join(known)}",
    )


def check_picture(path: str, limits: Limits) -> None:
    """Raise where a picture's header tells of more pixels than the limit; nothing is decoded.

    Raises:
        RefusedError: If it does.
        DataError: If there is no header to read; the message begins with the path.
    """
    try:
        height, width = picture_size(path)
    except Image.DecompressionBombError:
        raise RefusedError("too-many-pixels", _too_many("picture", limits)) from None
    if width * height > limits.pixels:
        size = f"picture of {width} x {height} pixels"
        raise RefusedError("too-many-pixels", _too_many(size, limits))


def check_clip(path: str, limits: Limits, *, frames: int) -> None:
    """Raise where a clip is beyond the limits by its header and its packets; none is decoded.

    Args:
        path: A video file or a GIF.
        limits: Of pixels and of frames.
        frames: How many of its frames the model looks at.

    Raises:
        RefusedError: If it is.
        DataError: If it is no video; the message begins with the path.
    """
    with open_video(path) as video:
        context = video.stream.codec_context
        width, height = context.width, context.height
        if width * height > limits.pixels:
            size = f"clip of {width} x {height} pixels"
            raise RefusedError("too-many-pixels", _too_many(size, limits))
        if frames * width * height > limits.clip_pixels:
            raise RefusedError(
                "too-many-pixels",
                f"{frames} frames of {width} x {height} pixels are more than the limit "
                f"of {limits.clip_pixels} together; send a smaller clip",
            )
        for number, _ in enumerate(video.packets(), start=1):
            if number > limits.frames:
                raise RefusedError(
                    "too-many-frames",
                    f"the clip has more than {limits.frames} frames; send a shorter one",
                )


def decode_forever(connection: Connection, limits: Limits) -> None:
    """Do one job after another until the other side is gone.

    Args:
        connection: Gives jobs, takes answers.
        limits: Of every job, and of this process's memory.
    """
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    _bound_memory(limits)
    connection.send_bytes(READY)
    with one_thread():
        while True:
            try:
                job: Job = connection.recv()
            except (EOFError, KeyboardInterrupt):
                return
            connection.send_bytes(_answer(job, limits))


def _answer(job: Job, limits: Limits) -> bytes:
    try:
        return DONE + job.run(limits)
    except RefusedError as refused:
        return _refusal(refused.kind, str(refused))
    except DataError as error:
        return _refusal("unreadable", _without_path(str(error), getattr(job, "path", "")))
    except OSError as error:
        return _refusal("unreadable", f"the file cannot be read: {error.strerror}")
    except MemoryError:
        return _refusal("decoder-failed", "decoding it takes more memory than a file may have")


def _refusal(kind: Kind, detail: str) -> bytes:
    return REFUSED + json.dumps({"kind": kind, "detail": detail}).encode()


def _without_path(message: str, path: str) -> str:
    # where the file lies is nobody's business
    return message.removeprefix(f"{path}: ").replace(path, "the file")


def _too_many(what: str, limits: Limits) -> str:
    return f"the {what} is over the limit of {limits.pixels} pixels; send a smaller one"


def _bound_memory(limits: Limits) -> None:
    """Let this process have no more memory than its largest job needs."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    work = _BYTES_PER_PIXEL * limits.pixels + 9 * limits.clip_pixels + _SPARE_BYTES
    bound = pages * resource.getpagesize() + work
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or bound < hard:
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
