"""The readers: processes that fill shared memory with batches, which a loader hands out in order.

A process that has to wait for a batch reads too: the batch's last samples, while its reader comes
from the first. So a loader keeps one processor more at work than it has readers, and only while
there is nothing else for that one to do.

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
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

import torch
from torch import Tensor

from finelens.allocator import keep_freed_memory
from finelens.data.dataset import Batch, PictureDataset, SampleKey, Told
from finelens.errors import RunError

_NUM_SLOTS = 2  # a reader fills one while the other waits to be fetched
_SECONDS_TO_END = 5.0


class Readers:
    """Processes that read batches of a dataset, started here, until ``close``.

    Args:
        dataset: As it is now; the processes do not see later changes.
        num_processes: 1 or more.
        most_samples: Of a batch; decides the shared memory, two batches a process.
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
        *of_sample, channels, height, width = dataset.shape
        # channels last, as pictures are decoded and as models prefer them
        shape = (_NUM_SLOTS, most_samples, *of_sample, height, width, channels)
        is_forked = context.get_start_method() == "fork"
        pipes = [context.Pipe() for _ in range(num_processes)]
        ends = [end for pipe in pipes for end in pipe]
        self._readers: list[_Reader] = []
        for here, there in pipes:
            slots = _Slots(
                _shared_bytes(shape, is_forked=is_forked).movedim(-1, -3),
                _shared_bytes((_NUM_SLOTS, most_samples), is_forked=is_forked),
            )
            others = [end for end in ends if end is not there]
            process = context.Process(  # pyright: ignore[reportAttributeAccessIssue]  # of any context
                target=_serve, args=(dataset, there, others, slots), daemon=True
            )
            process.start()
            self._readers.append(_Reader(here, process, slots))
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
        asked: deque[tuple[_Reader, Sequence[SampleKey]]] = deque()
        for _ in range(_NUM_SLOTS):
            for reader in self._readers:
                reader.forget_all_but(_NUM_SLOTS - 1)
                self._ask_next(reader, todo, asked)
        while asked:
            if turn != self._turn:
                raise RuntimeError("these batches were left for others, which the readers now read")
            reader, of_batch = asked.popleft()
            # what an epoch left early had asked for comes first
            reader.forget_all_but(1 + sum(other is reader for other, _ in asked))
            batch = self._fetch(reader, of_batch)
            self._ask_next(reader, todo, asked)
            yield batch

    @staticmethod
    def _ask_next(
        reader: _Reader,
        todo: Iterator[Sequence[SampleKey]],
        asked: deque[tuple[_Reader, Sequence[SampleKey]]],
    ) -> None:
        of_batch = next(todo, None)
        if of_batch is not None:
            reader.ask(of_batch)
            asked.append((reader, of_batch))

    def _fetch(self, reader: _Reader, keys: Sequence[SampleKey]) -> Batch:
        helped = reader.help(self._dataset, keys)
        told, shared_BCHW = reader.fetch(len(keys))
        # each sample was read by the process, or here, or by both and the same
        told = [helped[number] if one is None else one for number, one in enumerate(told)]
        # the process fills the shared memory anew
        images_BCHW = shared_BCHW.pin_memory() if self._pin_memory else shared_BCHW.clone()
        return self._dataset.batch(keys, images_BCHW, told)

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
    """Memory that a reader and its parent share: batches, and which samples the parent has read.

    uint8 (2, B, [T,] C, S, S) and (2, B).
    """

    images: Tensor
    is_read: Tensor


class _Reader:
    """The parent's side of one process: what it was asked and has not been fetched yet."""

    def __init__(self, pipe: Connection, process: BaseProcess, slots: _Slots) -> None:
        self.process = process
        self._pipe = pipe
        self._slots = slots
        self._next_slot = 0
        self._asked: deque[int] = deque()

    def ask(self, keys: Sequence[SampleKey]) -> None:
        slot, self._next_slot = self._next_slot, (self._next_slot + 1) % _NUM_SLOTS
        self._slots.is_read[slot] = 0
        try:
            self._pipe.send((slot, keys))
        except OSError as error:
            raise self._death() from error
        self._asked.append(slot)

    def help(self, dataset: PictureDataset, keys: Sequence[SampleKey]) -> dict[int, Told]:
        """Read samples of the oldest question from its end, until it is answered.

        Both may read one sample when they meet: it is the same. Returns what is said of the
        samples read here, by their place.
        """
        slot, told = self._asked[0], {}
        for number in reversed(range(len(keys))):
            if self._pipe.poll():
                break
            told[number] = dataset.read(keys[number], self._slots.images[slot, number])
            self._slots.is_read[slot, number] = 1
        return told

    def fetch(self, num_samples: int) -> tuple[list[Told | None], Tensor]:
        """Return what the oldest question gave; its memory holds until two more are asked.

        Of samples that were read here the process says nothing.
        """
        if self._pipe not in wait([self._pipe, self.process.sentinel]):
            raise self._death()
        try:
            told = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        slot = self._asked.popleft()
        if isinstance(told, str):
            raise RuntimeError(f"a loader process failed:\n{told}")
        return cast("list[Told | None]", told), self._slots.images[slot, :num_samples]

    def forget_all_but(self, num_latest: int) -> None:
        while len(self._asked) > num_latest:
            self.fetch(0)

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
            slot, keys = pipe.recv()
            images_BCHW, is_read = slots.images[slot], slots.is_read[slot]
            try:
                told = [
                    None if is_read[number] else dataset.read(key, images_BCHW[number])
                    for number, key in enumerate(keys)
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
