"""Second epochs of clips against first ones, by ``clip_cache.py``'s rounds on an empty cache."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from gate import Gate

sys.path.insert(0, str(Path(__file__).parents[1]))
from clip_cache import KINDS, measure_round

from finelens.data.augment.augmentation import Augmentation
from finelens.data.preprocessing import Preprocessing
from finelens.data.sources.read import read_source

HALF = (0.5, 0.5, 0.5)


def main() -> None:
    """Serve rounds of three epochs: without a cache, the first with one, the second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--policy", default="light")
    arguments = parser.parse_args()
    gate = Gate("finelens", "torch", "av")
    torch.set_num_threads(1)
    manifest = read_source(arguments.data)
    squash = Preprocessing(arguments.size, HALF, HALF, resize="squash", frames=arguments.frames)
    augmentation = Augmentation(arguments.policy, squash)
    gate.ready()
    while gate.wait():
        with tempfile.TemporaryDirectory() as folder:
            seconds = measure_round(manifest, augmentation, Path(folder))
        wall_s = {kind: wall for kind, (_, wall) in seconds.items()}
        processor_s = {kind: processor for kind, (processor, _) in seconds.items()}
        gate.answer(
            manifest.num_examples / wall_s[KINDS[2]],
            "clips/s",
            against=manifest.num_examples / wall_s[KINDS[1]],
            wall_s=wall_s,
            processor_s=processor_s,
        )


if __name__ == "__main__":
    main()
