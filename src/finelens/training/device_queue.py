"""The queue: what a CUDA device has yet to do, while this process goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_NUM_AHEAD = 2  # batches that wait for the device: it never waits for the next


class DeviceQueue:
    """A stream of a CUDA device that this process is at most two batches ahead of.

    Args:
        device: Where it computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._copies = torch.cuda.Stream(device)
        self._batches: deque[tuple[torch.cuda.Event, tuple[Tensor, ...]]] = deque()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the block hand its work over to the stream; wait at the end until all is done."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._stream.synchronize()
            self._batches.clear()

    def bring(self, images_BCHW: Tensor, targets_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch on the device, where it arrives while the device still computes."""
        with torch.cuda.stream(self._copies):
            images_BCHW = images_BCHW.to(self._device, non_blocking=True)
            targets_BK = targets_BK.to(self._device, non_blocking=True)
        self._stream.wait_stream(self._copies)
        return images_BCHW, targets_BK

    def end_batch(self, *used: Tensor) -> None:
        """Note that a batch is handed over whole; wait until two at most are not done.

        Args:
            used: What was brought for it: the memory is kept until the device is done with it.
        """
        end = torch.cuda.Event()
        end.record(self._stream)
        self._batches.append((end, used))
        if len(self._batches) > _NUM_AHEAD:
            self._batches.popleft()[0].synchronize()
