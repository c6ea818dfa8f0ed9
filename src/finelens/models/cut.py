"""The cut: a network whose graph begins at one layer, for one forward pass of one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Cut:
    """What a layer gave to the rest of the network, once a forward pass has been made."""

    def __init__(self) -> None:
        self._output: Tensor | None = None

    @property
    def output(self) -> Tensor:
        """Return the layer's output: of its graph, the gradient by it can be taken."""
        assert self._output is not None, "the pass did not come by the layer"
        return self._output

    def begin(self, output: Tensor) -> Tensor:
        """Return a layer's output as the beginning of a graph."""
        # a copy of the leaf, since what follows may work in place
        self._output = output.detach().requires_grad_().clone()
        return self._output


@contextmanager
def cut_at(network: nn.Module, path: str, *, call: int = 0) -> Iterator[Cut]:
    """Make the graph of this thread's next forward pass begin at a layer, while it lasts.

    What lies before the layer is computed without a graph: it takes no memory, and whether its
    weights are frozen does not matter. Other threads may use the network meanwhile.

    Args:
        network: Holds the layer.
        path: The layer's, in the network.
        call: Which of the layer's calls in the pass, from 0.
    """
    cut, thread, calls = Cut(), threading.get_ident(), 0

    def replace(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        if threading.get_ident() != thread:
            return None
        calls += 1
        if calls != call + 1:
            return None
        torch.set_grad_enabled(True)  # of this thread; until the no_grad below ends
        return cut.begin(output)

    hook = network.get_submodule(path).register_forward_hook(replace)
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield cut
    finally:
        hook.remove()
