"""The profile: where the time of the probe and of training goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from finelens.data.loader import Batch

WAIT, FORWARD, BACKWARD, OPTIMISER = "waiting for {media}", "forward", "backward", "optimiser"
FITTING = "fitting the head"
_HELD_UP = 0.15


@dataclass
class Profile:
    """Seconds of each part of some work, added up in this process.

    Attributes:
        work: What it is, as it is told.
        is_exact: Whether a GPU's work is waited for at the end of each part. Without, a part
            ends when its work is handed over; a CPU works at once.
        seconds: Part -> seconds.
        read_s: Seconds of opening and decoding, added up over the loader processes and the
            training process, which reads while it waits for them.
        augment_s: Seconds of making views, resizing and augmentation, added up likewise.
        num_read: Pictures or clips that were read.
    """

    work: str = "training"
    is_exact: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    read_s: float = 0.0
    augment_s: float = 0.0
    num_read: int = 0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the block's seconds to a part."""
        began = time.perf_counter()
        try:
            yield
            if self.is_exact and torch.cuda.is_available():
                torch.cuda.synchronize()
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def waited_for(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Return the batches, noting how long each is waited for and what reading it took."""
        while True:
            with self.part(WAIT):
                batch = next(batches, None)
            if batch is None:
                return
            self.read_s += batch.read_s
            self.augment_s += batch.augment_s
            # nothing was read where a frozen backbone's features were kept
            self.num_read += len(batch.indices_B) if batch.read_s else 0
            yield batch

    def told(
        self, *, media: str, num_workers: int, num_cores: int, is_cached: bool
    ) -> Iterator[str]:
        """Return lines that say where the time went, and what to do where pictures are late.

        There is none where nothing was done, and of reading none where nothing was read.

        Args:
            media: ``pictures`` or ``clips``.
            num_workers: Loader processes.
            num_cores: Processor cores, beyond which more of them bring nothing.
            is_cached: Whether what is decoded is kept on disk.
        """
        total_s = sum(self.seconds.values())
        if not total_s:
            return
        parts = sorted(self.seconds.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {spent_s / total_s:.0%}" for name, spent_s in parts)
        yield f"profile: {total_s:.1f} s of {self.work}: {shares.format(media=media)}"
        if not self.num_read:
            return
        readers = "the training process"
        if num_workers:
            noun = "loader process" if num_workers == 1 else "loader processes"
            readers = f"{num_workers} {noun} and {readers}"
        read_ms, augment_ms = (
            1000 * spent_s / self.num_read for spent_s in (self.read_s, self.augment_s)
        )
        yield (
            f"profile: of each of {self.num_read} {media}, read by {readers}: decoding "
            f"{read_ms:.1f} ms, resizing and augmentation {augment_ms:.1f} ms"
        )
        waited = self.seconds.get(WAIT, 0.0) / total_s
        if waited > _HELD_UP:
            ways = ["a larger train.num_workers"] if num_workers < num_cores else []
            if self.read_s >= self.augment_s:
                cached = "another run (it finds them in the cache, if data.cache_gb has room)"
                ways += [cached if is_cached else "data.cache=true", "smaller files"]
            else:
                ways += ["fewer or cheaper steps of phases.N.augment"]
            yield f"profile: {media} hold {self.work} up: {' or '.join(ways)} may help"
        else:
            rest = "" if FITTING in self.seconds else "; only a smaller input or network is faster"
            yield f"profile: {media} come in time{rest}"
