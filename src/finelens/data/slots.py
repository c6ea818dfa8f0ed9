"""The slots: memory that a loader and its reader processes share, each for one batch."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from finelens.data.dataset import SampleKey

NOBODY, READER, PARENT = range(3)
"""Who has taken a sample to read it."""

_KEY_BYTES = 3 * np.dtype(np.uint64).itemsize


@dataclass(frozen=True)
class Slots:
    """Memory for N batches of at most B samples.

    Attributes:
        images: Views, uint8 (N, B, C, S, S), of clips (N, B, T, C, S, S), with the channels last
            in memory, as pictures are decoded and as models prefer them.
        takers: Who has taken each sample, uint8 (N, B).
    """

    images: Tensor
    takers: Tensor
    _keys: Tensor

    @classmethod
    def make(
        cls, num_slots: int, most_samples: int, view_shape: Sequence[int], *, is_forked: bool
    ) -> Self:
        """Return memory that a process started later sees too.

        Args:
            num_slots: N.
            most_samples: B.
            view_shape: (C, S, S), of clips (T, C, S, S).
            is_forked: Whether processes are forked: they then need no name for it.
        """
        *of_sample, channels, height, width = view_shape
        shapes = ((*of_sample, height, width, channels), (), (_KEY_BYTES,))
        images, takers, keys = (
            _shared_bytes((num_slots, most_samples, *shape), is_forked=is_forked)
            for shape in shapes
        )
        return cls(images.movedim(-1, -3), takers, keys)

    def put_keys(self, slot: int, keys: Sequence[SampleKey]) -> None:
        """Write down which samples a batch has; nobody has taken them."""
        self.takers[slot] = NOBODY
        self._key_numbers[slot, : len(keys)] = np.array(keys, dtype=np.uint64).reshape(-1, 3)

    def key(self, slot: int, row: int) -> SampleKey:
        """Return which sample is wanted in a row."""
        seed, epoch, index = self._key_numbers[slot, row].tolist()
        return seed, epoch, index

    def take(self, slot: int, row: int, taker: int) -> bool:
        """Return whether a sample was nobody's; it is the taker's now.

        Two who ask at the same instant may both be told so, and both read it: the same.
        """
        if self.takers[slot, row] != NOBODY:
            return False
        self.takers[slot, row] = taker
        return True

    @property
    def _key_numbers(self) -> np.ndarray:
        return self._keys.numpy().view(np.uint64)


def _shared_bytes(shape: tuple[int, ...], *, is_forked: bool) -> Tensor:
    num_bytes = math.prod(shape)
    if is_forked:
        # not of /dev/shm, of which a container has 64 MB
        memory = mmap.mmap(-1, max(1, num_bytes))
        return torch.frombuffer(memory, dtype=torch.uint8, count=num_bytes).view(shape)
    return torch.zeros(shape, dtype=torch.uint8).share_memory_()
