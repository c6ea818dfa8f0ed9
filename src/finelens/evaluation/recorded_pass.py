"""The recorded pass: a forward pass over views of one shape as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finelens.models.cuda_graphs import device_state_kept, no_draws_on_host, recorded


@dataclass(frozen=True)
class RecordedPass:
    """A pass that a CUDA device replays: its kernels are handed over in one call.

    For one thread at a time.
    """

    _graph: torch.cuda.CUDAGraph
    _images: Tensor
    _results: Tensor
    _weights: Sequence[tuple[Tensor, int]]

    def suits(self, images_BCHW: Tensor) -> bool:
        """Return whether the pass can be replayed for views: weights lie where they lay.

        Args:
            images_BCHW: As many as were recorded, or fewer.
        """
        is_shape = images_BCHW.shape[1:] == self._images.shape[1:]
        return is_shape and all(each.data_ptr() == address for each, address in self._weights)

    @torch.inference_mode()
    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Return what the pass makes of each view."""
        num_views = len(images_BCHW)
        # as they lie in memory: another order is the device's work
        images_BCHW = images_BCHW.to(self._images.device, non_blocking=True)
        self._images[:num_views].copy_(images_BCHW)
        self._images[num_views:].zero_()
        self._graph.replay()
        return self._results[:num_views].clone()


def record_pass(
    compute: Callable[[Tensor], Tensor],
    images_BCHW: Tensor,
    weights: Iterable[Tensor],
    stream: torch.cuda.Stream,
) -> RecordedPass:
    """Record a pass, after it was computed once more in the stream.

    A graph that ends may take with it what cuBLAS keeps for the stream that it was recorded in:
    no other graph may be recorded there that is to outlive it.

    Args:
        compute: The pass, from uint8 views on the device to a row for each.
        images_BCHW: Views on a CUDA device, as many as a pass has.
        weights: What it computes with; new values may come, in the same tensors.
        stream: Where it is recorded; not the default one, which cannot be.

    Raises:
        HostDrawError: If the pass draws random numbers on the host.
        RuntimeError: If the device cannot record it: it waits for it, say, or memory is short.
    """
    device = images_BCHW.device
    kept = [(each, each.data_ptr()) for each in weights]
    images_BCHW = images_BCHW.clone()
    graph = torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream(device))
    with no_draws_on_host(), device_state_kept(device), torch.cuda.stream(stream):
        # kernels are chosen, and their buffers made, at a first time
        compute(images_BCHW)
        with recorded(graph):
            results = compute(images_BCHW)
    return RecordedPass(graph, images_BCHW, results, kept)
