"""Epochs of finelens's loader: decode, random resized crop, flip, batch; then normalise."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from gate import Gate, serve

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STEPS = ({"random_resized_crop": {"scale": [0.08, 1.0]}}, {"flip": {"p": 0.5}})
"""The same crop as timm's and torchvision's."""


def main() -> None:
    """Serve rounds of one epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    gate = Gate("finelens", "torch", "torchvision", "simplejpeg")
    paths = sorted(str(path) for path in arguments.folder.rglob("*.jpg"))
    preprocessing = Preprocessing(224, MEAN, STD)
    dataset = PictureDataset(
        paths, np.zeros((len(paths), 1), dtype=np.float32), Augmentation(STEPS, preprocessing)
    )
    loader = Loader(dataset, batch_size=32, shuffle=True, seed=0, num_workers=arguments.workers)
    epochs = itertools.count()

    def epoch() -> int:
        num_pictures = 0
        for batch in loader.epoch(next(epochs)):
            num_pictures += len(preprocessing.normalise(batch.images_BCHW))
        return num_pictures

    serve(gate, epoch, "pictures/s")


if __name__ == "__main__":
    main()
