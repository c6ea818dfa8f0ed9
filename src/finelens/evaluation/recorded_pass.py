"""The recorded pass: a forward pass over views of one shape as a CUDA graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from finelens.models.cuda_graphs import device_state_kept, no_draws_on_host, recorded


@dataclass(frozen=True)
class RecordedPass:
    """A pass that a CUDA device replays: its kernels are handed over in one call."""

    _graph: torch.cuda.CUDAGraph
    _images: Tensor
    _results: Tensor
    _weights: Sequence[tuple[Tensor, int]]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def suits(self, images_BCHW: Tensor) -> bool:
        """Return whether the pass can be replayed for views, with the weights where they are now.

        Args:
            images_BCHW: As many as were recorded, or fewer.
        """
        is_shape = images_BCHW.shape[1:] == self._images.shape[1:]
        return is_shape and all(each.data_ptr() == address for each, address in self._weights)

    @torch.inference_mode()
    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Return what the pass makes of each view."""
        num_views = len(images_BCHW)
        with self._lock:
            self._images[:num_views].copy_(images_BCHW, non_blocking=True)
            self._images[num_views:].zero_()
            self._graph.replay()
            return self._results[:num_views].clone()


def record_pass(
    compute: Callable[[Tensor], Tensor], images_BCHW: Tensor, weights: Iterable[Tensor]
) -> RecordedPass:
    """Record a pass; nothing is computed.

    Whatever is to be chosen or made at a first time (kernels, buffers) must have been: a few such
    passes were computed.

    Args:
        compute: The pass, from uint8 views on the device to a row for each.
        images_BCHW: Views on a CUDA device, as many as a pass has; not computed with.
        weights: What it computes with; new values may come, in the same memory.

    Raises:
        RecordingError: If the pass draws random numbers on the host.
        RuntimeError: If the device cannot record it: it waits for it, say, or memory is short.
    """
    device = images_BCHW.device
    kept = [(each, each.data_ptr()) for each in weights]
    images_BCHW = images_BCHW.clone()
    graph = torch.cuda.CUDAGraph()
    # all work may go to the default stream, which cannot be recorded
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with (
        no_draws_on_host(), device_state_kept(device),
        torch.cuda.stream(stream), recorded(graph),
    ):  # fmt: skip
        results = compute(images_BCHW)
    return RecordedPass(graph, images_BCHW, results, kept)
