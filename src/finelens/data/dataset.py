"""The dataset: one sample for every key, an unreadable picture or clip included."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.clip_arrays import stored_frame_size
from finelens.data.example import Span, read_example, read_example_clip
from finelens.data.frame_cache import FrameCache
from finelens.data.one_thread import one_thread
from finelens.data.preprocessing import Preprocessing, as_tensor
from finelens.errors import DataError

View = Preprocessing | Augmentation
"""What makes a model's input of a picture."""
SampleKey = tuple[int, int, int]
"""(seed, epoch, index): all that a sample depends on besides its dataset.

Where views come again, the epoch is the one that had the view first.
"""
OnError = Literal["raise", "row"]


class Told(NamedTuple):
    """What is said of an example beside its view.

    Attributes:
        error: Why it is unreadable, and its view zeros; None: it is not.
        note: What a person should know of a clip's file, such as that it is cut off; frames that
            a cache kept have none.
        read_s: Seconds that opening and decoding took.
        augment_s: Seconds that the view took.
    """

    error: str | None
    note: str | None = None
    read_s: float = 0.0
    augment_s: float = 0.0


@dataclass(frozen=True)
class Sample:
    """One example's view with its target row, its place in the dataset and what is said of it.

    The view is uint8, (C, S, S) of a picture and (T, C, S, S) of a clip; zeros of an unreadable
    one.
    """

    image: Tensor
    target_K: Tensor
    index: int
    told: Told


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 views (B, C, S, S), float32 targets (B, K), int64 dataset indices (B,).

    In memory the channels of a view come last, as they are decoded. Views of clips are
    (B, T, C, S, S); of a ``FeatureDataset`` they are what a frozen backbone made of them, float32.
    ``errors`` holds, for each, why it is unreadable (and its view zeros), or None; ``notes`` what
    a person should know of its file, or None. ``read_s`` and ``augment_s`` are the seconds that
    opening and decoding took, and views.
    """

    images_BCHW: Tensor
    targets_BK: Tensor
    indices_B: Tensor
    errors: tuple[str | None, ...]
    notes: tuple[str | None, ...]
    read_s: float = 0.0
    augment_s: float = 0.0


class PictureDataset:
    """Pictures or clips by key; plain lists and arrays, so that readers may fork.

    They are clips where the view's preprocessing has ``frames``. One draw serves all frames of a
    clip.

    Args:
        paths: N files, or places of clips.
        targets_NK: Target rows, values 1, 0 or NaN.
        view: A preprocessing for its evaluation view, or an augmentation.
        spans: Start and end of each clip in its video, seconds; None: whole.
        cache: Keeps what is decoded, up to where chance begins; nothing of clips that lie in an
            uncompressed array as they are needed.
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
        """Return the sample of (seed, epoch, index); an unreadable picture never raises here."""
        _, _, index = key
        with one_thread():
            view_CHW, told = self._view(key)
        return Sample(view_CHW, torch.tensor(self.targets_NK[index]), index, told)

    def read_batch(self, keys: Sequence[SampleKey], *, pin_memory: bool = False) -> Batch:
        """Return the batch of B keys, read in this process."""
        *of_sample, channels, height, width = self.shape
        shape = (len(keys), *of_sample, height, width, channels)
        images_BHWC = torch.empty(shape, dtype=torch.uint8, pin_memory=pin_memory)
        images_BCHW = images_BHWC.movedim(-1, -3)
        told = [self.read(key, view) for key, view in zip(keys, images_BCHW, strict=True)]
        return self.batch(keys, images_BCHW, told)

    def read(self, key: SampleKey, into_CHW: Tensor) -> Told:
        """Write the view of (seed, epoch, index) to ``into_CHW``; return what is said of it."""
        with one_thread():
            view_CHW, told = self._view(key)
            into_CHW.copy_(view_CHW)
        return told

    def batch(self, keys: Sequence[SampleKey], images_BCHW: Tensor, told: Sequence[Told]) -> Batch:
        """Return the batch of B keys whose views were read."""
        indices_B = torch.tensor([index for _, _, index in keys])
        return Batch(
            images_BCHW,
            torch.from_numpy(self.targets_NK[indices_B.numpy()]),
            indices_B,
            errors=tuple(one.error for one in told),
            notes=tuple(one.note for one in told),
            read_s=sum(one.read_s for one in told),
            augment_s=sum(one.augment_s for one in told),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (C, S, S), or (T, C, S, S) of clips: the shape of every view."""
        return self.view.shape if self._frames is None else (self._frames, *self.view.shape)

    @property
    def _frames(self) -> int | None:
        return self.view.preprocessing.frames

    def _view(self, key: SampleKey) -> tuple[Tensor, Told]:
        seed, epoch, index = key
        began = time.perf_counter()
        try:
            begun, note = self._begun(index)
        except DataError as error:
            # between processes it travels as text
            return torch.zeros(self.shape, dtype=torch.uint8), Told(str(error))
        read = time.perf_counter()
        view = self.view.draw(begun, sample_generator(seed, epoch, index))
        return view, Told(None, note, read - began, time.perf_counter() - read)

    def _begun(self, index: int) -> tuple[Tensor, str | None]:
        """Return what the draw of a sample begins from, and the note of its file.

        The view is (C, H, W), or (T, C, H, W) of a clip.
        """
        if self.cache is None or self._is_at_hand(index):
            frames_THWC, note = self._read(index)
            begun_TCHW = self.view.begin(frames_THWC)
        else:
            note = None
            kept_THWC = self.cache.get(
                self.paths[index],
                self._cache_key(index),
                lambda: self.view.begin(self._read(index)[0]).movedim(-3, -1).numpy(),
            )
            begun_TCHW = as_tensor(kept_THWC)
        return (begun_TCHW if self._frames else begun_TCHW[0]), note

    def _is_at_hand(self, index: int) -> bool:
        """Return whether an array file already holds what the cache would keep of a clip."""
        size = stored_frame_size(self.paths[index])
        return size is not None and self.view.begins_unchanged(*size)

    def _read(self, index: int) -> tuple[NDArray[np.uint8], str | None]:
        path, preprocessing = self.paths[index], self.view.preprocessing
        if preprocessing.frames is None:
            return read_example(path, least_side=self.view.least_side), None
        clip = read_example_clip(
            path,
            self.spans[index],
            frames=preprocessing.frames,
            stride=preprocessing.stride,
            start=preprocessing.start,
        )
        return clip.frames_THWC, clip.note

    def _cache_key(self, index: int) -> str:
        """Return all that decides what is kept of a file, besides its content."""
        preprocessing = self.view.preprocessing
        sampling = (preprocessing.frames, preprocessing.stride, preprocessing.start,
                    *self.spans[index])  # fmt: skip
        return f"{sampling} {self.view.beginning}"
