"""Videos for the tests of data."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest


def _write_clip(path: Path, frames_THWC: np.ndarray, *, rate: int = 25) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=rate)
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuvj420p"
        for frame_HWC in frames_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., None]:
    """Return a function that writes frames, uint8 (T, H, W, 3), as an MJPEG video."""
    return _write_clip
