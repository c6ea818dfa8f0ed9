"""Looking: the decoders' jobs behind a heat map and behind an example of the run's own data."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.example import Span, read_example
from finelens.data.preprocessing import Preprocessing
from finelens.web.decoder import check_clip, check_kind, check_picture, pack_view
from finelens.web.limits import Limits

_SHAPE_BYTES = 256


@dataclass(frozen=True)
class OwnView:
    """The job of making the network's view of an item of the run's own data; see ``View``."""

    path: str
    span: Span
    preprocessing: Preprocessing

    def run(self, limits: Limits) -> bytes:
        """Return what ``unpack_view`` reads; the limits are for what strangers send."""
        del limits
        dataset = PictureDataset(
            [self.path],
            np.zeros((1, 1), dtype=np.float32),
            Augmentation("none", self.preprocessing),
            spans=[self.span],
            on_error="row",
        )
        return pack_view(dataset[0, 0, 0])


@dataclass(frozen=True)
class Frames:
    """The job of decoding a picture, or those frames of a clip that the network looks at.

    It is what ``Predictor.explain_pictures`` takes.

    Attributes:
        path: Of an upload, or the place of an item of the run's own data.
        span: Of an item that is part of a video.
        preprocessing: Says which frames.
        is_own: Whether it is an item: then nothing is checked.
    """

    path: str
    span: Span
    preprocessing: Preprocessing
    is_own: bool

    def run(self, limits: Limits) -> bytes:
        """Return what ``unpack_frames`` reads.

        Raises:
            RefusedError: If an upload is beyond the limits.
            DataError: If it cannot be read; the message begins with its path.
        """
        frames = self.preprocessing.frames
        if not self.is_own:
            check_kind(self.path, is_clip=frames is not None)
            if frames is None:
                check_picture(self.path, limits)
            else:
                check_clip(self.path, limits, frames=frames)
        pictures_THWC = read_example(
            self.path,
            self.span,
            frames=frames,
            stride=self.preprocessing.stride,
            start=self.preprocessing.start,
            least_side=self.preprocessing.least_side,
        )
        shape = json.dumps(pictures_THWC.shape).encode().ljust(_SHAPE_BYTES)
        return shape + np.ascontiguousarray(pictures_THWC).tobytes()


def unpack_frames(packed: bytes) -> NDArray[np.uint8]:
    """Return the frames, uint8 (T, H, W, 3), that a job of ``Frames`` gave."""
    shape = json.loads(packed[:_SHAPE_BYTES])
    # copied: tensors are not read-only
    return np.frombuffer(packed, np.uint8, offset=_SHAPE_BYTES).reshape(shape).copy()
