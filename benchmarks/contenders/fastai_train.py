"""Updates of fastai's ``fit_one_cycle`` on class folders, all of ResNet18 training.

Its defaults: ``vision_learner`` on torchvision's ``resnet18`` with fastai's head, Adam, a loader
process a core, float32; pictures by ``RandomResizedCrop(224)``, normalised.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastai.callback.core import Callback
from fastai.callback.schedule import Learner  # fit_one_cycle is patched into it there
from fastai.data.core import DataLoaders
from fastai.data.transforms import Normalize
from fastai.vision.augment import RandomResizedCrop
from fastai.vision.core import imagenet_stats
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from gate import Gate, UpdateRounds
from torchvision.models import resnet18


class Count(Callback):
    """Counts the updates of an epoch."""

    def __init__(self, rounds: UpdateRounds) -> None:
        self.rounds = rounds

    def after_batch(self) -> None:
        """Note an update."""
        if self.training:
            self.rounds.after_update(len(self.yb[0]))


def main() -> None:
    """Train until no further round is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--drain", type=int, default=10)
    parser.add_argument("--counted", type=int, default=10)
    arguments = parser.parse_args()
    gate = Gate("fastai", "torch", "torchvision", "pillow")
    loaders: DataLoaders = ImageDataLoaders.from_folder(
        arguments.data,
        train="train",
        valid="val",
        item_tfms=RandomResizedCrop(224),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
        bs=32,
    )
    learner: Learner = vision_learner(loaders, resnet18, pretrained=False)
    learner.unfreeze()
    rounds = UpdateRounds(gate, drain=arguments.drain, counted=arguments.counted)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(100, slice(1e-5, 1e-3), cbs=Count(rounds))


if __name__ == "__main__":
    main()
