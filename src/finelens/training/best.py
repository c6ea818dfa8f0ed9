"""The best weights: for each of several validation metrics, those of its best epoch."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from finelens.models.weights import write_safetensors
from finelens.replacing import replacing
from finelens.training.resume import unwritable


@dataclass(frozen=True)
class Best:
    """A metric's best value so far and the epoch it was reached in (0: the probe)."""

    value: float
    epoch: int


def is_better(name: str, value: float, than: float) -> bool:
    """Return whether a metric's value beats another; a loss is better when smaller.

    Any number beats NaN, and NaN beats nothing.
    """
    if math.isnan(value) or math.isnan(than):
        return math.isnan(than) and not math.isnan(value)
    return value < than if name == "loss" else value > than


class BestWeights:
    """Keeps one weights file for every epoch that is the best of some metric."""

    def __init__(self, folder: Path, metrics: Sequence[str], *, is_writer: bool = True) -> None:
        """Follow ``metrics``; the first is the main one, which chooses the model."""
        self._folder = folder
        self._is_writer = is_writer
        self.metrics = tuple(metrics)
        self.best: dict[str, Best] = {}

    @property
    def main(self) -> Best:
        """Return the best of the main metric; there must have been an epoch."""
        return self.best[self.metrics[0]]

    def offer(
        self, values: Mapping[str, float], *, epoch: int, weights: Mapping[str, Tensor]
    ) -> list[str]:
        """Keep an epoch's weights if they are the best of any metric; return which."""
        improved = [
            name
            for name in self.metrics
            if name not in self.best or is_better(name, values[name], self.best[name].value)
        ]
        for name in improved:
            self.best[name] = Best(float(values[name]), epoch)
        if improved and self._is_writer:
            _save(self._path(epoch), weights)
        return improved

    def load(self, metric: str) -> dict[str, Tensor]:
        """Return the weights of a metric's best epoch."""
        return load_file(self._path(self.best[metric].epoch))

    def prune(self, *, keep_epochs: Sequence[int] = ()) -> None:
        """Delete weights that are no metric's best and not among ``keep_epochs``."""
        kept = {self._path(best.epoch) for best in self.best.values()}
        kept |= {self._path(epoch) for epoch in keep_epochs}
        if self._is_writer:
            for path in self._folder.glob("best-epoch-*.safetensors"):
                if path not in kept:
                    path.unlink()

    def link_by_metric(self) -> None:
        """Give each metric's best weights a name of their own beside the epochs' files.

        ``best-<metric>.safetensors``, a hard link where the file system knows them.
        """
        if not self._is_writer:
            return
        for metric, best in self.best.items():
            link = self._folder / f"best-{metric}.safetensors"
            link.unlink(missing_ok=True)
            try:
                os.link(self._path(best.epoch), link)
            except OSError:
                shutil.copyfile(self._path(best.epoch), link)

    def state_dict(self) -> dict[str, Any]:
        """Return the values and epochs, for a checkpoint."""
        return {name: asdict(best) for name, best in self.best.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the values and epochs of a checkpoint."""
        self.best = {name: Best(**content) for name, content in state.items()}

    def _path(self, epoch: int) -> Path:
        return self._folder / f"best-epoch-{epoch:04d}.safetensors"


def _save(path: Path, weights: Mapping[str, Tensor]) -> None:
    # safetensors writes neither channels-last strides nor tensors that share memory
    contents = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    try:
        with replacing(path) as temporary:
            write_safetensors(temporary, contents)
    except (OSError, SafetensorError) as error:
        raise unwritable(path.parent, error) from error
