"""The recording: a forward and a backward pass as CUDA graphs, replayed batch after batch.

A network's hundreds of kernels are handed to the device one by one, which at small batches takes
longer than to compute them. Recorded once, they are handed over in one call. Nothing else differs:
the same kernels compute, and dropout draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finelens.models.cuda_graphs import device_state_kept, no_draws_on_host, recorded
from finelens.training.two_passes import TwoPasses


@dataclass(frozen=True)
class Recording:
    """Two recorded passes, for batches of one shape.

    Attributes:
        num_bytes: What they keep of the device's memory.
    """

    num_bytes: int
    _passes: tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]
    _batch: tuple[Tensor, Tensor]
    _share: Tensor
    _sums: Tensor
    _gradients: Sequence[tuple[nn.Parameter, Tensor]]
    _accumulates: bool

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch; the next call overwrites them."""
        for kept, new in zip(self._batch, (images_BCHW, targets_BK), strict=True):
            kept.copy_(new)
        self._passes[0].replay()
        return self._sums

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that batch's mean loss, times a share, to the parameters."""
        self._share.fill_(share)
        self._passes[1].replay()
        for parameter, gradient in self._gradients:
            if parameter.grad is not None:
                parameter.grad.add_(gradient)
            else:
                # the next forward pass may use the memory of this one's gradients
                parameter.grad = gradient.clone() if self._accumulates else gradient


def record(
    passes: TwoPasses,
    *,
    parameters: Iterable[nn.Parameter],
    accumulates: bool,
    images_BCHW: Tensor,
    targets_BK: Tensor,
) -> Recording:
    """Record two passes in the running stream; nothing is computed.

    Whatever is to be chosen or made at a first time (kernels, buffers) must have been: a few
    batches have gone through the same passes, in the same stream.

    Args:
        passes: What is recorded.
        parameters: Those that are trained are given their gradients by every replay.
        accumulates: Whether gradients of several replays are added up.
        images_BCHW: Views or features of such a batch; not computed with.
        targets_BK: Its targets.

    Raises:
        HostDrawError: If the passes draw random numbers on the host.
        RuntimeError: If the device cannot record them: they wait for it, say, or memory is short.
    """
    device = images_BCHW.device
    batch = images_BCHW.clone(), targets_BK.clone()
    share = torch.ones((), device=device)
    graphs = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    # what is cached would be given back while recording, and the difference tell too little
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(device)
    with no_draws_on_host(), device_state_kept(device), gradients_kept(trained):
        with recorded(graphs[0]):
            sums = passes.forward(*batch)
        with recorded(graphs[1], pool=graphs[0].pool()):
            passes.backward(share)
        gradients = [(each, each.grad) for each in trained if each.grad is not None]
    num_bytes = torch.cuda.memory_reserved(device) - before
    return Recording(num_bytes, graphs, batch, share, sums, gradients, accumulates)


@contextmanager
def gradients_kept(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let the block begin without gradients; put the present ones back."""
    before = [(parameter, parameter.grad) for parameter in parameters]
    for parameter, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient
