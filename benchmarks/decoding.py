"""Decoding speed of ``read_clip`` beside plain PyAV and OpenCV on the same files.

Every reader gives the same T frames, evenly spread, as RGB arrays, with one decoder thread.
Processor time is measured, which other programs do not lengthen; readers take turns on every
file, round by round:

    python benchmarks/decoding.py FOLDER_OR_FILE ... [--frames 30] [--rounds 5] [--files 100]

OpenCV takes part where ``cv2`` is installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from finelens.data.clip_places import is_clip
from finelens.data.clips import read_clip
from finelens.data.sampling import Sampling

Reader = Callable[[str, Sampling], NDArray[np.uint8]]


def by_finelens(path: str, sampling: Sampling) -> NDArray[np.uint8]:
    """Return the frames as finelens reads them."""
    return read_clip(path, sampling).frames_THWC


def by_pyav(path: str, sampling: Sampling) -> NDArray[np.uint8]:
    """Return the frames of a decoding loop that keeps all frames and converts those wanted."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        frames = list(container.decode(video=0))
    indices_T = sampling.indices(len(frames)).tolist()
    return np.stack([frames[n].to_ndarray(format="rgb24") for n in indices_T])


def by_opencv(path: str, sampling: Sampling) -> NDArray[np.uint8]:
    """Return the frames of ``cv2.VideoCapture``, decoded through as its documentation does."""
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            break
        frames.append(frame)
    capture.release()
    indices_T = sampling.indices(len(frames)).tolist()
    return np.stack([cv2.cvtColor(frames[n], cv2.COLOR_BGR2RGB) for n in indices_T])


READERS: dict[str, Reader] = {"finelens": by_finelens, "PyAV": by_pyav}


def measure(
    files: Sequence[str], readers: dict[str, Reader], sampling: Sampling, num_rounds: int
) -> dict[str, list[float]]:
    """Return each reader's processor milliseconds for each file, the median over the rounds."""
    medians: dict[str, list[float]] = {name: [] for name in readers}
    for file in files:
        times: dict[str, list[float]] = {name: [] for name in readers}
        for n in range(num_rounds + 1):
            for name, read in readers.items():
                start_s = time.process_time()
                read(file, sampling)
                if n:  # the first round warms the disk's cache
                    times[name].append(1e3 * (time.process_time() - start_s))
        for name, values in times.items():
            medians[name].append(statistics.median(values))
    return medians


def main() -> None:
    """Measure and print a line for each file, or one for each folder."""
    parser = argparse.ArgumentParser(description="Decoding speed of read_clip beside others")
    parser.add_argument("places", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=100, help="most files of a folder")
    arguments = parser.parse_args()
    readers = dict(READERS)
    try:
        import cv2

        cv2.setNumThreads(1)
        readers["OpenCV"] = by_opencv
    except ImportError:
        print("cv2 is not installed: without OpenCV")
    sampling = Sampling(arguments.frames)
    print(f"processor milliseconds a clip, {arguments.frames} frames, median of {arguments.rounds}")
    for place in arguments.places:
        files = sorted(str(file) for file in place.rglob("*") if is_clip(file.name))
        files = files[:: max(1, len(files) // arguments.files)] if place.is_dir() else [str(place)]
        medians = measure(files, readers, sampling, arguments.rounds)
        middle = {name: statistics.median(values) for name, values in medians.items()}
        words = [f"{name} {value:.1f}" for name, value in middle.items()]
        words += [
            f"{name}/finelens {value / middle['finelens']:.2f}"
            for name, value in middle.items()
            if name != "finelens"
        ]
        print(f"{place.name} ({len(files)} files): {', '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
