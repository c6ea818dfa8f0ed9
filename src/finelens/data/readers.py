"""The readers: processes that fill shared memory with batches, which a loader hands out in order.

All of them read every batch, each its share of the samples. So all processors read at the same time
or none does: training on a CPU, whose threads wait for each other, is held up half as long as by
one reader that has a batch of its own. A loader that has to wait for a batch reads too, from its
end, while the readers come from its beginning.

Each reader has a pipe of its own and there is no lock, so one that is killed at any moment is
noticed at once and holds up nobody. (torch's ``DataLoader`` shares semaphores among its workers;
one that is killed while it holds one, for want of memory say, leaves training waiting for ever.)
"""

from __future__ import annotations

import gc
import math
import mmap
import multiprocessing
import signal
import sys
import traceback
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

import torch
from torch import Tensor

from finelens.allocator import keep_freed_memory
from finelens.data.dataset import Batch, PictureDataset, SampleKey, Told
from finelens.data.one_thread import one_thread
from finelens.errors import RunError

_NUM_SLOTS = 4  # batches read ahead
_SECONDS_TO_END = 5.0


class Readers:
    """Processes that read batches of a dataset, started here, until ``close``.

    Args:
        dataset: As it is now; the processes do not see later changes.
        num_processes: 1 or more.
        most_samples: Of a batch; decides the shared memory, which is four batches.
        pin_memory: Whether batches come in page-locked memory, for a CUDA device.
    """

    def __init__(
        self,
        dataset: PictureDataset,
        num_processes: int,
        most_samples: int,
        *,
        pin_memory: bool = False,
    ) -> None:
        # forked, they share the dataset's lists; other systems have no safe fork
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        # a batch is copied out of shared memory: into that of an older batch, not into new pages
        keep_freed_memory()
        self._dataset = dataset
        self._pin_memory = pin_memory
        self._turn = 0
        self._asked: deque[tuple[int, Sequence[SampleKey]]] = deque()
        *of_sample, channels, height, width = dataset.shape
        is_forked = context.get_start_method() == "fork"
        # channels last, as pictures are decoded and as models prefer them
        shape = (_NUM_SLOTS, most_samples, *of_sample, height, width, channels)
        self._slots = slots = _Slots(
            _shared_bytes(shape, is_forked=is_forked).movedim(-1, -3),
            _shared_bytes((_NUM_SLOTS, most_samples), is_forked=is_forked),
        )
        pipes = [context.Pipe() for _ in range(num_processes)]
        ends = [end for pipe in pipes for end in pipe]
        self._readers: list[_Reader] = []
        for here, there in pipes:
            others = [end for end in ends if end is not there]
            process = context.Process(  # pyright: ignore[reportAttributeAccessIssue]  # of any context
                target=_serve, args=(dataset, there, others, slots), daemon=True
            )
            process.start()
            self._readers.append(_Reader(here, process))
        for _, there in pipes:
            there.close()
        # a reader whose pipe is closed ends by itself: no process outlives a forgotten loader
        self._finalizer = weakref.finalize(self, _close_pipes, [here for here, _ in pipes])

    def batches(self, keys: Iterable[Sequence[SampleKey]]) -> Iterator[Batch]:
        """Return a batch for each list of keys, in their order; several are read ahead.

        Left early, the readers are ready for the next call.

        Raises:
            RunError: While iterating, if a process died.
            RuntimeError: While iterating, if one failed; it tells the traceback there.
        """
        self._turn += 1
        turn, todo = self._turn, iter(keys)
        self._forget()
        for slot, of_batch in enumerate(islice(todo, _NUM_SLOTS)):
            self._ask(slot, of_batch)
        while self._asked:
            slot, of_batch = self._asked.popleft()
            batch = self._fetch(slot, of_batch)
            for following in islice(todo, 1):
                self._ask(slot, following)
            yield batch
            if turn != self._turn:
                raise RuntimeError("these batches were left for others, which the readers now read")

    def _ask(self, slot: int, keys: Sequence[SampleKey]) -> None:
        self._slots.is_read[slot] = 0
        for reader, rows in self._shares(keys):
            reader.ask(slot, rows, [keys[row] for row in rows])
        self._asked.append((slot, keys))

    def _fetch(self, slot: int, keys: Sequence[SampleKey]) -> Batch:
        told = self._help(slot, keys)
        for reader, rows in self._shares(keys):
            # each sample was read by the process, or here, or by both and the same
            told |= {row: one for row, one in zip(rows, reader.fetch(), strict=True) if one}
        shared_BCHW = self._slots.images[slot, : len(keys)]
        # the processes fill the shared memory anew; a thread woken to help with the copy would
        # spin for milliseconds after it, and keep a reader from its processor
        with one_thread():
            images_BCHW = shared_BCHW.pin_memory() if self._pin_memory else shared_BCHW.clone()
        return self._dataset.batch(keys, images_BCHW, [told[row] for row in range(len(keys))])

    def _help(self, slot: int, keys: Sequence[SampleKey]) -> dict[int, Told]:
        """Read samples of the oldest batch from its end, as long as its readers are not done.

        Where they meet, both read one sample. Returns what is said of those read here, by row.
        """
        told = {}
        for row in reversed(range(len(keys))):
            if not self._readers[row % len(self._readers)].has_answered():
                told[row] = self._dataset.read(keys[row], self._slots.images[slot, row])
                self._slots.is_read[slot, row] = 1
        return told

    def _forget(self) -> None:
        """Let the readers leave out what an epoch left early had asked for."""
        for slot, _ in self._asked:
            self._slots.is_read[slot] = 1
        while self._asked:
            _, keys = self._asked.popleft()
            for reader, _ in self._shares(keys):
                reader.fetch()

    def _shares(self, keys: Sequence[SampleKey]) -> Iterator[tuple[_Reader, range]]:
        """Return the readers that read samples of a batch, with the rows of theirs."""
        for first, reader in enumerate(self._readers[: len(keys)]):
            yield reader, range(first, len(keys), len(self._readers))

    def close(self) -> None:
        """End the processes now, in the middle of a batch if need be."""
        self._finalizer()
        for reader in self._readers:
            reader.process.join(0.1)
        for reader in self._readers:
            if reader.process.is_alive():
                reader.process.kill()
            reader.process.join(_SECONDS_TO_END)


@dataclass(frozen=True)
class _Slots:
    """Memory that readers and their parent share: batches, and which samples the parent has read.

    uint8 (4, B, [T,] C, S, S) and (4, B).
    """

    images: Tensor
    is_read: Tensor


class _Reader:
    """The parent's side of one process."""

    def __init__(self, pipe: Connection, process: BaseProcess) -> None:
        self.process = process
        self._pipe = pipe

    def ask(self, slot: int, rows: range, keys: Sequence[SampleKey]) -> None:
        """Ask for the samples of keys, in these rows of a slot."""
        try:
            self._pipe.send((slot, rows, keys))
        except OSError as error:
            raise self._death() from error

    def has_answered(self) -> bool:
        """Return whether the oldest question is answered, or never will be."""
        return self._pipe.poll()

    def fetch(self) -> list[Told | None]:
        """Return what the process says of its samples; None of those that were read here."""
        if self._pipe not in wait([self._pipe, self.process.sentinel]):
            raise self._death()
        try:
            told = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(told, str):
            raise RuntimeError(f"a loader process failed:\n{told}")
        return cast("list[Told | None]", told)

    def _death(self) -> RunError:
        self.process.join(_SECONDS_TO_END)
        code = self.process.exitcode
        if code is not None and code < 0:
            reason = f"by signal {signal.Signals(-code).name}"
        else:
            reason = f"with code {code}"
        return RunError(
            f"a loader process died {reason}, perhaps for want of memory; "
            "set train.num_workers=0 or a smaller train.batch_size"
        )


def _serve(
    dataset: PictureDataset, pipe: Connection, others: Sequence[Connection], slots: _Slots
) -> None:
    """Read what is asked for until the pipe is closed."""
    # Ctrl-C reaches the whole process group; the parent ends its readers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # what the parent has thrown away may own threads (a decoder, a pool); they do not exist
    # here, and to tear it down would wait for them without end
    gc.freeze()
    keep_freed_memory()
    torch.set_num_threads(1)
    # an end that stayed open here would hide that the parent, or another reader, is gone
    for other in others:
        other.close()
    try:
        while True:
            slot, rows, keys = pipe.recv()
            images_BCHW, is_read = slots.images[slot], slots.is_read[slot]
            try:
                told = [
                    None if is_read[row] else dataset.read(key, images_BCHW[row])
                    for row, key in zip(rows, keys, strict=True)
                ]
            except Exception:  # noqa: BLE001  # told to the parent, which raises
                told = traceback.format_exc()
            pipe.send(told)
    except (EOFError, OSError):
        pass


def _close_pipes(pipes: Iterable[Connection]) -> None:
    for pipe in pipes:
        pipe.close()


def _shared_bytes(shape: tuple[int, ...], *, is_forked: bool) -> Tensor:
    """Return uint8 memory that a process started later sees too."""
    if is_forked:
        # not of /dev/shm, of which a container has 64 MB
        memory = mmap.mmap(-1, max(1, math.prod(shape)))
        return torch.frombuffer(memory, dtype=torch.uint8, count=math.prod(shape)).view(shape)
    return torch.empty(shape, dtype=torch.uint8).share_memory_()
