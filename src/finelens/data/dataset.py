"""The dataset: one sample for every key, an unreadable picture included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.images import read_image
from finelens.data.preprocessing import Preprocessing
from finelens.errors import DataError

View = Preprocessing | Augmentation
"""What makes a model's input of a picture."""
SampleKey = tuple[int, int, int]
"""(seed, epoch, index): all that a sample depends on besides its dataset."""
OnError = Literal["raise", "row"]


@dataclass(frozen=True)
class Sample:
    """One picture's view, uint8 (C, S, S), with its target row and its place in the dataset.

    Where ``error`` says why a picture is unreadable, the view is zeros.
    """

    image_CHW: Tensor
    target_K: Tensor
    index: int
    error: str | None


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 views (B, C, S, S), float32 targets (B, K), int64 dataset indices (B,).

    ``errors`` holds, for each, why its picture is unreadable (and its view zeros), or None.
    """

    images_BCHW: Tensor
    targets_BK: Tensor
    indices_B: Tensor
    errors: tuple[str | None, ...]


class PictureDataset(Dataset[Sample]):
    """Pictures by key; it holds plain lists and arrays, so that loader processes may fork.

    Args:
        paths: N files.
        targets_NK: Target rows, values 1, 0 or NaN.
        view: A preprocessing for its evaluation view, or an augmentation.
        on_error: What a loader does with an unreadable picture: ``raise`` its DataError, or
            give it its ``row`` with the error in it.

    Raises:
        DataError: If there are more or fewer paths than rows of targets.
    """

    def __init__(
        self,
        paths: Sequence[str],
        targets_NK: NDArray[np.float32],
        view: View,
        *,
        on_error: OnError = "raise",
    ) -> None:
        if len(paths) != len(targets_NK):
            raise DataError(f"{len(paths)} paths do not fit {len(targets_NK)} rows of targets")
        self.paths = list(paths)
        self.targets_NK = np.asarray(targets_NK, dtype=np.float32)
        self.view = view if isinstance(view, Augmentation) else Augmentation("none", view)
        self.on_error: OnError = on_error

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: SampleKey) -> Sample:
        """Return the sample of (seed, epoch, index); an unreadable picture never raises here.

        A loader process would wrap the error in its traceback: it travels as text instead.
        """
        seed, epoch, index = key
        target_K = torch.tensor(self.targets_NK[index])
        try:
            image_HWC = read_image(self.paths[index])
        except DataError as error:
            nothing_CHW = torch.zeros(self.view.shape, dtype=torch.uint8)
            return Sample(nothing_CHW, target_K, index, str(error))
        with _one_thread():
            image_CHW = self.view(image_HWC, sample_generator(seed, epoch, index))
        return Sample(image_CHW, target_K, index, error=None)


def collate(samples: Sequence[Sample]) -> Batch:
    """Return samples of one dataset as one batch."""
    with _one_thread():
        images_BCHW = torch.stack([sample.image_CHW for sample in samples])
    return Batch(
        images_BCHW,
        torch.stack([sample.target_K for sample in samples]),
        torch.tensor([sample.index for sample in samples]),
        tuple(sample.error for sample in samples),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    # a picture is too small to share out: on a busy machine, threads that wait for each other
    # take twenty times as long
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
