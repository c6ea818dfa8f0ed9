"""Epochs of the loader with an empty frame cache, with a full one, and without one.

Processor time is measured, which other programs do not lengthen, beside the clock's; every round
begins with an empty cache, and in each an epoch without a cache, the first with one and the second
with it take turns:

    python benchmarks/clip_cache.py DATA [--frames 30] [--size 64] [--policies none,light] ...

Pictures take ``--frames 0``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.frame_cache import FrameCache
from finelens.data.loader import Loader
from finelens.data.manifest import Manifest
from finelens.data.preprocessing import Preprocessing
from finelens.data.sources.read import read_source

_HALF = (0.5, 0.5, 0.5)
_GENEROUS = 100 << 30
KINDS = ("without a cache", "first epoch", "second epoch")


def measure_round(
    manifest: Manifest, augmentation: Augmentation, folder: Path
) -> dict[str, tuple[float, float]]:
    """Return the processor's and the clock's seconds of each kind of epoch."""
    seconds: dict[str, tuple[float, float]] = {}
    cache = FrameCache(folder, max_bytes=_GENEROUS)
    for epoch, kind in enumerate(KINDS):
        dataset = PictureDataset(
            manifest.paths,
            np.zeros((manifest.num_examples, manifest.task.num_classes), dtype=np.float32),
            augmentation,
            spans=manifest.spans,
            cache=None if epoch == 0 else cache,
        )
        loader = Loader(dataset, batch_size=16, shuffle=True, seed=0)
        processor_s, clock_s = time.process_time(), time.perf_counter()
        for _ in loader.epoch(epoch):
            pass
        seconds[kind] = (time.process_time() - processor_s, time.perf_counter() - clock_s)
    return seconds


def main() -> None:
    """Measure and print a line for each policy."""
    parser = argparse.ArgumentParser(description="Epochs with and without the frame cache")
    parser.add_argument("data", type=Path)
    parser.add_argument("--frames", type=int, default=30, help="of a clip; 0: pictures")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--policies", default="none,light,standard")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    manifest = read_source(arguments.data)
    preprocessing = Preprocessing(
        arguments.size, _HALF, _HALF, resize="squash", frames=arguments.frames or None
    )
    print(f"{manifest.num_examples} {manifest.media}, median of {arguments.rounds} rounds")
    for policy in arguments.policies.split(","):
        rounds = []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                augmentation = Augmentation(policy, preprocessing)
                rounds.append(measure_round(manifest, augmentation, Path(folder)))
        middle = {
            kind: [statistics.median(one[kind][n] for one in rounds) for n in range(2)]
            for kind in KINDS
        }
        told = ", ".join(f"{kind} {cpu:.2f} s ({wall:.2f})" for kind, (cpu, wall) in middle.items())
        first, second = middle[KINDS[1]], middle[KINDS[2]]
        ratios = f"first/second {first[0] / second[0]:.1f} ({first[1] / second[1]:.1f})"
        print(f"{policy}: {told}: {ratios}", flush=True)


if __name__ == "__main__":
    main()
