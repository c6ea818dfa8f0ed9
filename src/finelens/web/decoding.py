"""Decoding: files nobody vouches for, each in a process of its own that may be killed.

The processes are forked from one that has imported what they need, so that one that hung or
crashed is replaced in milliseconds. One that takes too long is killed: no decoder can be trusted
to heed a wish to stop.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.context import ForkServerContext, ForkServerProcess

from finelens.web.decoder import READY, REFUSED, Job, decode_forever
from finelens.web.limits import Limits
from finelens.web.problems import Refusal

_PRELOADED = ["finelens.web.preloaded"]
_START_S = 120.0
_END_S = 5.0


class Decoding:
    """Processes that decode; as many jobs are done at a time as there are processes.

    They import the script that is run, as all of Python's processes do: where a script of yours
    starts a server, it must do so under ``if __name__ == "__main__":``.

    Args:
        limits: Of every job.
        num_workers: Processes, 1 or more; they start beside all else, from now on.
        observe: Told the seconds that each job took.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        num_workers: int,
        observe: Callable[[float], object] = lambda _seconds: None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        self._observe = observe
        self._workers = [_Worker(context, limits) for _ in range(num_workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(num_workers, "finelens-decoding")
        for worker in self._workers:
            self._threads.submit(self._begin, worker)

    @property
    def process_ids(self) -> list[int | None]:
        """Return the ids of the processes there are now."""
        return [worker.process_id for worker in self._workers]

    def submit(self, job: Job) -> Future[bytes]:
        """Return the future of what a job gives.

        Its exception is a ``Refusal`` where the file is beyond a limit, unreadable, or takes too
        long, or where its decoder dies of it.
        """
        return self._threads.submit(self._do, job)

    def close(self) -> None:
        """End the processes; jobs that wait are cancelled."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(cancel_futures=True)

    def _begin(self, worker: _Worker) -> None:
        # the first start lasts until the process that all are forked from has its imports
        worker.start()
        self._idle.put(worker)

    def _do(self, job: Job) -> bytes:
        worker = self._idle.get()
        begun = time.monotonic()
        try:
            return worker.do(job)
        finally:
            self._observe(time.monotonic() - begun)
            self._idle.put(worker)


class _Worker:
    """One process at a time; a dead one is followed by the next."""

    def __init__(self, context: ForkServerContext, limits: Limits) -> None:
        self._context = context
        self._limits = limits
        self._is_closed = False
        self._process: ForkServerProcess | None = None
        self._is_ready = False

    @property
    def process_id(self) -> int | None:
        """Return the id of the process there is now, None where there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a process."""
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=decode_forever, args=(there, self._limits), name="finelens-decoder", daemon=True
        )
        process.start()
        there.close()
        self._process, self._connection, self._is_ready = process, here, False
        if self._is_closed:
            process.kill()

    def do(self, job: Job) -> bytes:
        """Return what a job gives.

        Raises:
            Refusal: If its file is refused, or the process had to be replaced.
        """
        if self._process is None or not self._process.is_alive():
            # it ended between jobs: no file is to blame
            self._replace()
        try:
            answer = self._ask(job)
        except (EOFError, OSError):
            self._replace()
            raise Refusal(
                "decoder-failed", "the file is damaged so that its decoder died of it"
            ) from None
        if answer.startswith(REFUSED):
            told = json.loads(answer[1:])
            raise Refusal(told["kind"], told["detail"])
        return answer[1:]

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        if self._process is not None:
            self._process.kill()

    def _ask(self, job: Job) -> bytes:
        if not self._is_ready:
            # the first one may still be importing
            if not self._connection.poll(_START_S) or self._connection.recv_bytes() != READY:
                raise EOFError
            self._is_ready = True
        self._connection.send(job)
        if not self._connection.poll(self._limits.decoding_s):
            self._replace()
            raise Refusal(
                "decoding-took-too-long",
                f"it was not decoded within the limit of {self._limits.decoding_s:g} s; "
                "send a smaller file",
            )
        return self._connection.recv_bytes()

    def _replace(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(_END_S)
            self._connection.close()
        if not self._is_closed:
            self.start()
