"""The recording: a forward and a backward pass as CUDA graphs, replayed batch after batch.

A network's hundreds of kernels are handed to the device one by one, which at small batches takes
longer than to compute them. Recorded once, they are handed over in one call. Nothing else differs:
the same kernels compute the same numbers, and dropout draws what it would have drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


class TwoPasses(Protocol):
    """What a batch goes through."""

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        ...

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that loss's mean, times a share, to the parameters."""
        ...


class RecordingError(Exception):
    """A network draws on the host what it computes: each replay would have the same draw."""


class Recording:
    """A training step's two passes, recorded for batches of one shape.

    Recording computes nothing. Whatever is to be chosen or made at a first time (kernels, buffers)
    must have been: a few batches have gone through the same passes, in the running stream.

    Args:
        passes: What is recorded.
        parameters: Those that are trained are given their gradients by every replay.
        accumulates: Whether gradients of several replays are added up.
        images_BCHW: uint8 views of such a batch, or of clips (B, T, C, S, S); not computed with.
        targets_BK: Its targets.

    Raises:
        RecordingError: If the passes draw random numbers on the host.
        RuntimeError: If the device cannot record them: they wait for it, say, or memory is short.
    """

    def __init__(
        self,
        passes: TwoPasses,
        *,
        parameters: Iterable[nn.Parameter],
        accumulates: bool,
        images_BCHW: Tensor,
        targets_BK: Tensor,
    ) -> None:
        self._images_BCHW, self._targets_BK = images_BCHW.clone(), targets_BK.clone()
        self._share = torch.ones((), device=images_BCHW.device)
        self._accumulates = accumulates
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        with _no_draws_on_host(images_BCHW.device), _gradients_kept(trained):
            with _recorded(self._forward):
                self._sums = passes.forward(self._images_BCHW, self._targets_BK)
            with _recorded(self._backward, pool=self._forward.pool()):
                passes.backward(self._share)
            self._gradients = [(each, each.grad) for each in trained if each.grad is not None]

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of a batch of the recorded shape; the next call overwrites them."""
        self._images_BCHW.copy_(images_BCHW)
        self._targets_BK.copy_(targets_BK)
        self._forward.replay()
        return self._sums

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of the last batch's loss, times a share, to the parameters."""
        self._share.fill_(share)
        self._backward.replay()
        for parameter, gradient in self._gradients:
            if parameter.grad is not None:
                parameter.grad.add_(gradient)
            else:
                # the next forward pass may use the memory of this one's gradients
                parameter.grad = gradient.clone() if self._accumulates else gradient


@contextmanager
def _recorded(graph: torch.cuda.CUDAGraph, pool: Any = None) -> Iterator[None]:
    """Record what the block hands to the running stream."""
    stream = torch.cuda.current_stream()
    # other threads may use the device meanwhile: their calls do not break the recording
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        yield


@contextmanager
def _gradients_kept(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let the block begin without gradients; put the present ones back."""
    before = [(parameter, parameter.grad) for parameter in parameters]
    for parameter, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


@contextmanager
def _no_draws_on_host(device: torch.device) -> Iterator[None]:
    """Keep the device's random state, and raise where the block changes one of the host's."""
    generator = torch.cuda.default_generators[device.index]
    on_device, on_host = generator.get_state(), _host_random_state()
    try:
        yield
    except BaseException:
        # a recording that fails leaves the generator waiting for its end: another takes its place
        other = torch.Generator(device)
        other.set_state(on_device)
        generator.graphsafe_set_state(other.graphsafe_get_state())
        raise
    generator.set_state(on_device)
    if _host_random_state() != on_host:
        raise RecordingError("the network draws random numbers on the processor")


def _host_random_state() -> tuple[object, ...]:
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002  # as a network may draw from it
    return (
        random.getstate(),
        np.asarray(keys).tobytes(),
        position,
        torch.get_rng_state().numpy().tobytes(),
    )
