"""Batching: what arrives together goes through the model together, in one thread.

Which pictures share a batch changes no score: see ``evaluation.passes``.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.predictor import Predictor
from finelens.web.limits import Limits
from finelens.web.metrics import Metrics
from finelens.web.problems import Refusal

_Result = TypeVar("_Result")
_RECENT = 0.2


@dataclass(eq=False)
class _Picture:
    """A view that waits for its logits."""

    predictor: Predictor
    view: Tensor
    future: Future[NDArray[np.float32]] = field(default_factory=Future)


@dataclass(eq=False)
class _Call:
    """Something else that needs a model, done in its turn."""

    function: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Places:
    """The places in the queue that one request holds, one a picture.

    Each picture either comes (``submit``) or is ``gone``; those of which nobody says anything are
    gone when the request ends.
    """

    def __init__(self, batching: Batching, num_pictures: int) -> None:
        self._batching = batching
        self.num_pictures = num_pictures
        self.num_on_their_way = num_pictures

    def submit(self, predictor: Predictor, view: Tensor) -> Future[NDArray[np.float32]]:
        """Return the future of a view's logits, shape (K,)."""
        picture = _Picture(predictor, view)
        self._batching.arrive(self, picture)
        return picture.future

    def gone(self) -> None:
        """Take note that a picture will not come: it could not be decoded."""
        self._batching.arrive(self, None)


class Batching:
    """The thread in which all models compute, and the bounded queue before it.

    Whoever wants pictures predicted takes ``places`` for them first, be it that they have yet to
    be decoded: there are as many as the limits say, and a request that finds too few is refused
    at once. So memory stays flat however many ask.

    Args:
        limits: Of the queue and the wait.
        metrics: Told of batches and of the queue.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._waiting: deque[_Picture | _Call] = deque()
        self._changed = threading.Condition()
        self._num_taken = 0
        self._num_on_their_way = 0
        self._seconds_a_picture = 0.1
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="finelens-model", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Return whether the thread still works."""
        return self._thread.is_alive()

    @contextmanager
    def places(self, num_pictures: int) -> Iterator[Places]:
        """Hold places in the queue until the block ends.

        Raises:
            Refusal: If there are too few; ``Retry-After`` says in how many seconds to come again.
        """
        with self._changed:
            if self._num_taken + num_pictures > self._limits.queue:
                raise self._overloaded(num_pictures)
            self._take(num_pictures)
        places = Places(self, num_pictures)
        try:
            yield places
        finally:
            with self._changed:
                self._take(-num_pictures)
                self._num_on_their_way += num_pictures - places.num_on_their_way
                self._changed.notify()

    def arrive(self, places: Places, picture: _Picture | None) -> None:
        """Take a picture that holds a place, or None for one that will not come."""
        with self._changed:
            places.num_on_their_way -= 1
            self._num_on_their_way -= 1
            if picture is None:
                self._changed.notify()
            else:
                self._put(picture)

    def call(self, function: Callable[[], _Result]) -> Future[_Result]:
        """Return the future of what a function gives that needs a model, such as a heat map.

        Raises:
            Refusal: If the queue is full.
        """
        call = _Call(function)
        with self._changed:
            if self._num_taken + len(self._waiting) >= self._limits.queue:
                raise self._overloaded(1)
            self._put(call)
        return call.future

    def close(self) -> None:
        """End the thread after the batch it is at; what waits is cancelled."""
        with self._changed:
            self._is_closed = True
            for one in self._waiting:
                one.future.cancel()
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _take(self, num_pictures: int) -> None:
        self._num_taken += num_pictures
        self._num_on_their_way += num_pictures
        self._metrics.queued.set(self._num_taken)

    def _put(self, one: _Picture | _Call) -> None:
        if self._is_closed:
            one.future.cancel()
            return
        self._waiting.append(one)
        self._changed.notify()

    def _overloaded(self, num_pictures: int) -> Refusal:
        needed = self._num_taken + num_pictures - self._limits.queue
        wait_s = max(1, math.ceil(needed * self._seconds_a_picture))
        return Refusal(
            "overloaded",
            f"the queue is full ({self._num_taken} of {self._limits.queue} places); "
            f"come again in {wait_s} s",
            headers={"Retry-After": str(wait_s)},
        )

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            if isinstance(batch, _Call):
                _settle([batch], lambda batch=batch: [batch.function()])
            else:
                self._predict(batch)

    def _next_batch(self) -> list[_Picture] | _Call | None:
        """Return what is to be done next, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return None
            first = self._waiting[0]
            if isinstance(first, _Call):
                self._waiting.popleft()
                return first
            most = first.predictor.num_together
            self._changed.wait_for(
                lambda: (
                    self._is_closed
                    or len(self._waiting) >= most
                    # nobody else may come: a lone client waits for nobody
                    or self._num_on_their_way == 0
                ),
                timeout=self._limits.wait_ms / 1000,
            )
            batch = [
                one
                for one in self._waiting
                if isinstance(one, _Picture) and one.predictor is first.predictor
            ][:most]
            for one in batch:
                self._waiting.remove(one)
            return batch

    def _predict(self, batch: list[_Picture]) -> None:
        begun = time.monotonic()

        def compute() -> list[NDArray[np.float32]]:
            return list(batch[0].predictor.logits(torch.stack([one.view for one in batch])))

        _settle(batch, compute)
        took_s = time.monotonic() - begun
        self._metrics.batches.observe(len(batch))
        self._metrics.model_seconds.observe(took_s)
        self._seconds_a_picture += _RECENT * (took_s / len(batch) - self._seconds_a_picture)


def _settle(waiting: list[Any], compute: Callable[[], list[Any]]) -> None:
    """Give each of those who wait what was computed for it, or the exception that came."""
    kept = [one for one in waiting if one.future.set_running_or_notify_cancel()]
    if not kept:
        return
    try:
        results = compute()
    except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread lives on
        for one in kept:
            one.future.set_exception(error)
        return
    for one, result in zip(waiting, results, strict=True):
        if one in kept:
            one.future.set_result(result)
