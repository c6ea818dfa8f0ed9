"""The readers: processes that fill shared memory with batches, which a loader hands out in order.

All of them read every batch, each its share of the samples, and a loader that has to wait for a
batch reads too, from its end, while the readers come from its beginning. So all processors read at
the same time, or none does. Where the batches are used on the same processors, as in training on a
CPU, nothing is read meanwhile: threads that wait for each other lose more when one of them is held
up than reading takes. Only where reading waits for storage is it done ahead there too.

Each reader has a pipe of its own and there is no lock, so one that is killed at any moment is
noticed at once and holds up nobody. (torch's ``DataLoader`` shares semaphores among its workers;
one that is killed while it holds one, for want of memory say, leaves training waiting for ever.)
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import time
import traceback
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple, cast

import torch

from finelens.allocator import keep_freed_memory
from finelens.data.dataset import Batch, PictureDataset, SampleKey, Told
from finelens.data.one_thread import one_thread
from finelens.data.slots import PARENT, READER, Slots
from finelens.errors import RunError

_NUM_SLOTS = 4  # batches that lie in memory at a time
_NUM_WAITS = 4  # that are looked at together
_IDLE = 3.0  # waited for storage, not for a processor that others use too
_SECONDS_TO_END = 5.0
# forked, readers share the dataset's lists; other systems have no safe fork
_START_METHOD = "fork" if sys.platform == "linux" else None
_OPEN_ENDS: weakref.WeakSet[Connection] = weakref.WeakSet()


class Readers:
    """Processes that read batches of a dataset, started here, until ``close``.

    Args:
        dataset: As it is now; the processes do not see later changes.
        num_processes: 1 or more.
        most_samples: Of a batch; decides the shared memory, which is four batches.
        shares_cores: Whether batches are used on the processors that read them.
        pin_memory: Whether batches come in page-locked memory, for a CUDA device.
    """

    def __init__(
        self,
        dataset: PictureDataset,
        num_processes: int,
        most_samples: int,
        *,
        shares_cores: bool,
        pin_memory: bool = False,
    ) -> None:
        context = multiprocessing.get_context(_START_METHOD)
        # a batch is copied out of shared memory: into that of an older batch, not into new pages
        keep_freed_memory()
        self._dataset = dataset
        self._pin_memory = pin_memory
        self._turn = 0
        self._num_ahead = 1 if shares_cores else _NUM_SLOTS
        self._waits: deque[_Wait] = deque(maxlen=_NUM_WAITS)
        self._asked: deque[_Question] = deque()
        self._num_asked = 0
        is_forked = context.get_start_method() == "fork"
        self._slots = slots = Slots.make(
            _NUM_SLOTS, most_samples, dataset.shape, is_forked=is_forked
        )
        pipes = [context.Pipe() for _ in range(num_processes)]
        _OPEN_ENDS.update(end for pipe in pipes for end in pipe)
        self._readers: list[_Reader] = []
        for here, there in pipes:
            others = [end for end in _OPEN_ENDS if end is not there] if is_forked else []
            process = context.Process(  # pyright: ignore[reportAttributeAccessIssue]  # of any context
                target=_serve, args=(dataset, there, others, slots), daemon=True
            )
            process.start()
            self._readers.append(_Reader(here, process))
        # a reader whose pipe is closed ends by itself: no process outlives a forgotten loader
        _close_ends([there for _, there in pipes])
        self._finalizer = weakref.finalize(self, _close_ends, [here for here, _ in pipes])

    def batches(self, keys: Iterable[Sequence[SampleKey]]) -> Iterator[Batch]:
        """Return a batch for each list of keys, in their order; three are read ahead or none.

        Left early, the readers are ready for the next call.

        Raises:
            RunError: While iterating, if a process died.
            RuntimeError: While iterating, if one failed; it tells the traceback there.
        """
        self._turn += 1
        turn, todo = self._turn, iter(keys)
        self._forget()
        free = deque(range(_NUM_SLOTS))
        while True:
            for of_batch in islice(todo, self._num_ahead - len(self._asked)):
                self._ask(free.popleft(), of_batch)
            if not self._asked:
                return
            question = self._asked.popleft()
            with self._noting_wait():
                batch = self._fetch(question)
            free.append(question.slot)
            yield batch
            if turn != self._turn:
                raise RuntimeError("these batches were left for others, which the readers now read")

    def _ask(self, slot: int, keys: Sequence[SampleKey]) -> None:
        self._slots.put_keys(slot, keys)
        # shares begin where those of the batch before ended: none has more to read than others
        num_readers = len(self._readers)
        begins = ((reader - self._num_asked) % num_readers for reader in range(num_readers))
        shares = [range(begin, len(keys), num_readers) for begin in begins]
        self._num_asked += len(keys)
        question = _Question(slot, keys, shares)
        for reader, rows in zip(self._readers, shares, strict=True):
            if rows:
                reader.ask(slot, rows)
        self._asked.append(question)

    def _fetch(self, question: _Question) -> Batch:
        keys, told = question.keys, self._help(question)
        for row, one in self._answers(question):
            # who read it here too found the same, or that it can no longer be read
            if one is not None and (row not in told or told[row].error is None):
                told[row] = one
        shared_BCHW = self._slots.images[question.slot, : len(keys)]
        # the processes fill the shared memory anew; a thread woken to help with the copy would
        # spin for milliseconds after it, and keep a reader from its processor
        with one_thread():
            images_BCHW = shared_BCHW.pin_memory() if self._pin_memory else shared_BCHW.clone()
        return self._dataset.batch(keys, images_BCHW, [told[row] for row in range(len(keys))])

    def _help(self, question: _Question) -> dict[int, Told]:
        """Read what no reader has begun of the oldest batch, from its end.

        Returns what is said of the samples read here, by row.
        """
        told = {}
        for row in reversed(range(len(question.keys))):
            if self._slots.take(question.slot, row, PARENT):
                view_CHW = self._slots.images[question.slot, row]
                told[row] = self._dataset.read(question.keys[row], view_CHW)
        return told

    def _answers(self, question: _Question) -> Iterator[tuple[int, Told | None]]:
        """Return what the readers say of the oldest batch, by row; None: they did not read it."""
        for reader, rows in zip(self._readers, question.shares, strict=True):
            if rows:
                yield from zip(rows, reader.fetch(), strict=True)

    @contextmanager
    def _noting_wait(self) -> Iterator[None]:
        """Read ahead from now on where this thread mostly slept while it waited for batches."""
        began_s, worked_s = time.perf_counter(), time.thread_time()
        yield
        waited_s, worked_s = time.perf_counter() - began_s, time.thread_time() - worked_s
        self._waits.append(_Wait(waited_s, worked_s))
        if len(self._waits) == _NUM_WAITS:
            waited_s, worked_s = (sum(parts) for parts in zip(*self._waits, strict=True))
            if waited_s > _IDLE * worked_s:
                self._num_ahead = _NUM_SLOTS

    def _forget(self) -> None:
        """Let the readers leave out what an epoch left early had asked for."""
        for question in self._asked:
            self._slots.takers[question.slot] = PARENT
        while self._asked:
            for _ in self._answers(self._asked.popleft()):
                pass

    def close(self) -> None:
        """End the processes now, in the middle of a batch if need be."""
        self._finalizer()
        for reader in self._readers:
            reader.process.join(0.1)
        for reader in self._readers:
            if reader.process.is_alive():
                reader.process.kill()
            reader.process.join(_SECONDS_TO_END)


class _Wait(NamedTuple):
    """Seconds that a batch was waited for, and those of them that this thread computed."""

    waited_s: float
    worked_s: float


@dataclass(frozen=True)
class _Question:
    """A batch that was asked for.

    Attributes:
        slot: Where it will lie.
        keys: Its samples.
        shares: The rows that each reader reads; of a small batch some have none.
    """

    slot: int
    keys: Sequence[SampleKey]
    shares: Sequence[range]


class _Reader:
    """The parent's side of one process."""

    def __init__(self, pipe: Connection, process: BaseProcess) -> None:
        self.process = process
        self._pipe = pipe

    def ask(self, slot: int, rows: range) -> None:
        """Ask for the samples whose keys are in these rows of a slot."""
        # a few bytes: four questions never fill a pipe, or both ends might wait for ever
        try:
            self._pipe.send((slot, rows))
        except OSError as error:
            raise self._death() from error

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
    dataset: PictureDataset, pipe: Connection, others: Sequence[Connection], slots: Slots
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
    # an end that stayed open here would hide that the parent, or another reader, is gone; forked,
    # those of other loaders are open here too
    for other in others:
        other.close()
    try:
        while True:
            slot, rows = pipe.recv()
            try:
                told = [
                    dataset.read(slots.key(slot, row), slots.images[slot, row])
                    if slots.take(slot, row, READER)
                    else None
                    for row in rows
                ]
            except Exception:  # noqa: BLE001  # told to the parent, which raises
                told = traceback.format_exc()
            pipe.send(told)
    except (EOFError, OSError):
        pass


def _close_ends(ends: Iterable[Connection]) -> None:
    for end in ends:
        end.close()
        _OPEN_ENDS.discard(end)
