"""The dataset: one sample for every key, an unreadable picture or clip included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.example import Span, read_example
from finelens.data.frame_cache import FrameCache
from finelens.data.one_thread import one_thread
from finelens.data.preprocessing import Preprocessing, as_tensor
from finelens.errors import DataError

View = Preprocessing | Augmentation
"""What makes a model's input of a picture."""
SampleKey = tuple[int, int, int]
"""(seed, epoch, index): all that a sample depends on besides its dataset."""
OnError = Literal["raise", "row"]


@dataclass(frozen=True)
class Sample:
    """One example's view with its target row and its place in the dataset.

    The view is uint8, (C, S, S) of a picture and (T, C, S, S) of a clip. Where ``error`` says why
    the example is unreadable, it is zeros.
    """

    image: Tensor
    target_K: Tensor
    index: int
    error: str | None


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 views (B, C, S, S), float32 targets (B, K), int64 dataset indices (B,).

    Views of clips are (B, T, C, S, S). ``errors`` holds, for each, why it is unreadable (and its
    view zeros), or None.
    """

    images_BCHW: Tensor
    targets_BK: Tensor
    indices_B: Tensor
    errors: tuple[str | None, ...]


class PictureDataset(Dataset[Sample]):
    """Pictures or clips by key; plain lists and arrays, so that loader processes may fork.

    They are clips where the view's preprocessing has ``frames``. One draw serves all frames of a
    clip: each is drawn by a generator of the same key.

    Args:
        paths: N files, or places of clips.
        targets_NK: Target rows, values 1, 0 or NaN.
        view: A preprocessing for its evaluation view, or an augmentation.
        spans: Start and end of each clip in its video, seconds; None: whole.
        cache: Keeps what is decoded, up to where chance begins.
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
        spans: Sequence[Span] | None = None,
        cache: FrameCache | None = None,
        on_error: OnError = "raise",
    ) -> None:
        if len(paths) != len(targets_NK):
            raise DataError(f"{len(paths)} paths do not fit {len(targets_NK)} rows of targets")
        self.paths = list(paths)
        self.targets_NK = np.asarray(targets_NK, dtype=np.float32)
        self.view = view if isinstance(view, Augmentation) else Augmentation("none", view)
        self.spans = [(None, None)] * len(self.paths) if spans is None else list(spans)
        self.cache = cache
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
            with one_thread():
                begun = self._begun(index)
        except DataError as error:
            return Sample(torch.zeros(self.shape, dtype=torch.uint8), target_K, index, str(error))
        with one_thread():
            views = [
                self.view.draw(view_CHW, sample_generator(seed, epoch, index)) for view_CHW in begun
            ]
            image = torch.stack(views) if self._frames else views[0]
        return Sample(image, target_K, index, error=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (C, S, S), or (T, C, S, S) of clips: the shape of every view."""
        return self.view.shape if self._frames is None else (self._frames, *self.view.shape)

    @property
    def _frames(self) -> int | None:
        return self.view.preprocessing.frames

    def _begun(self, index: int) -> list[Tensor]:
        """Return what the draws of a sample begin from, a (C, H, W) tensor a frame."""
        if self.cache is None:
            return [self.view.begin(image_HWC) for image_HWC in self._read(index)]

        def compute() -> NDArray[np.uint8]:
            begun = [self.view.begin(image_HWC) for image_HWC in self._read(index)]
            return np.stack([view_CHW.permute(1, 2, 0).numpy() for view_CHW in begun])

        # copied: the map is read-only, which tensors are not
        kept_THWC = np.array(self.cache.get(self.paths[index], self._cache_key(index), compute))
        return [as_tensor(image_HWC) for image_HWC in kept_THWC]

    def _read(self, index: int) -> NDArray[np.uint8]:
        preprocessing = self.view.preprocessing
        return read_example(
            self.paths[index],
            self.spans[index],
            frames=preprocessing.frames,
            stride=preprocessing.stride,
        )

    def _cache_key(self, index: int) -> str:
        """Return all that decides what is kept of a file, besides its content."""
        preprocessing = self.view.preprocessing
        sampling = (preprocessing.frames, preprocessing.stride, *self.spans[index])
        if self.view.begins_whole:
            return f"whole {sampling}"
        seen = (preprocessing.size, preprocessing.resize, preprocessing.crop_fraction,
                preprocessing.interpolation, preprocessing.fill)  # fmt: skip
        return f"view {sampling} {seen}"


def collate(samples: Sequence[Sample]) -> Batch:
    """Return samples of one dataset as one batch."""
    with one_thread():
        images_BCHW = torch.stack([sample.image for sample in samples])
    return Batch(
        images_BCHW,
        torch.stack([sample.target_K for sample in samples]),
        torch.tensor([sample.index for sample in samples]),
        tuple(sample.error for sample in samples),
    )
