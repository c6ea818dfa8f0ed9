"""Updates of ``finelens train`` on class folders, counted from where a progress bar would hang.

It is the public ``finelens.train`` with the default recipe at full size; what watches it holds it
still between two rounds. With ``--from-memory`` the training loader gives its first batch again
and again, out of a GPU's own memory where there is one, and nothing is read or decoded: the limit
of the same step. With ``--phases`` the pictures are as small as those that the recipe's phases see:
a round has an epoch of each, and nothing between two epochs is counted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from gate import Gate, UpdateRounds

import finelens
from finelens.config.load import load_recipe
from finelens.data.dataset import Batch
from finelens.data.loader import Loader
from finelens.progress import Advance

NUM_UPDATES = 20_000
"""Of the epoch: more than all rounds need."""

RECIPE = "finetune"
SETTINGS = (
    "model.pretrained=false", "model.probe=false", "input.size=224", "data.test_fraction=0",
)  # fmt: skip
FULL_SIZE = ("phases.0.scale=1", f"train.batches_per_epoch={NUM_UPDATES}")
"""One endless epoch of training pictures at the size asked for."""
_MOST_ROUNDS = 50


def every_phase(num_updates: int, *, num_rounds: int = _MOST_ROUNDS) -> tuple[str, ...]:
    """Return settings that repeat the recipe's phases, an epoch of so many updates each."""
    phases = load_recipe(RECIPE).phases
    assert len({phase.epochs for phase in phases}) == 1, "the phases do not weigh the same"
    rounds = [
        {**phase.model_dump(mode="json"), "epochs": 1, "name": f"{phase.name} {number}"}
        for number in range(num_rounds)
        for phase in phases
    ]
    return (f"phases={json.dumps(rounds)}", f"train.batches_per_epoch={num_updates}")


class Watch:
    """A progress that counts the updates of an epoch."""

    def __init__(self, rounds: UpdateRounds) -> None:
        self._rounds = rounds

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Enter a stage; only updates are counted."""
        del total
        is_epoch = title.startswith("epoch")

        def advance(num_items: int, _note: str) -> None:
            if is_epoch and num_items:
                self._rounds.after_update(num_items)

        yield advance

    def say(self, line: str) -> None:
        """Show nothing."""


def feed_from_memory() -> None:
    """Make the training pictures' loader repeat its first batch, read once."""
    read = Loader.epoch

    def repeat(self: Loader, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        batches = read(self, epoch, skip=skip)
        if len(self) != NUM_UPDATES:  # not the training pictures
            yield from batches
            return
        first = next(batches)
        self.close()
        if torch.cuda.is_available():
            images_BCHW, targets_BK = first.images_BCHW.cuda(), first.targets_BK.cuda()
            first = replace(first, images_BCHW=images_BCHW, targets_BK=targets_BK)
        yield from itertools.repeat(first, NUM_UPDATES - skip)

    Loader.epoch = repeat


def main() -> None:
    """Train until no further round is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--from-memory", action="store_true")
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--drain", type=int, default=10)
    parser.add_argument("--counted", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.phases and (arguments.from_memory or torch.cuda.is_available()):
        # there the loader is ahead: what it read of an epoch's end would not be counted
        parser.error("--phases is for a CPU that reads from files")
    gate = Gate("finelens", "torch", "torchvision")
    if arguments.from_memory:
        feed_from_memory()
    settle = torch.cuda.synchronize if torch.cuda.is_available() else None
    drain, counted = arguments.drain, arguments.counted
    updates = every_phase(drain + counted) if arguments.phases else FULL_SIZE
    parts = len(load_recipe(RECIPE).phases) if arguments.phases else 1
    rounds = UpdateRounds(gate, drain=drain, counted=counted, parts=parts, settle=settle)
    settings = [
        f"model.backbone={arguments.backbone}", f"train.batch_size={arguments.batch_size}",
        *SETTINGS, *updates, *arguments.set,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        finelens.train(
            RECIPE, arguments.data, settings=settings, run=Path(folder) / "run",
            progress=Watch(rounds),
        )  # fmt: skip


if __name__ == "__main__":
    main()
