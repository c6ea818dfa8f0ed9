"""Norm pairs: the batch norms that alone take what a convolution gives."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from finelens.models.backbone import MISFITS, Backbone

_NUM_EXAMPLES = 2
"""A norm that learns its statistics takes no single number a channel."""


@dataclass(frozen=True)
class NormPair:
    """A convolution and the batch norm that alone takes what it gives.

    Attributes:
        convolution: The first; called once in a pass.
        norm: The second; called once in a pass.
        num_positions: Of one picture's, or one clip's, output: height x width (x time).
    """

    convolution: _ConvNd
    norm: _BatchNorm
    num_positions: int


def find_norm_pairs(backbone: Backbone, size: int) -> list[NormPair]:
    """Return a network's pairs, in the order of its forward pass, by watching one of shapes alone.

    None of a network that needs numbers to tell its way.

    Args:
        backbone: In the modes that it will compute in: dropout may stand between the two.
        size: Side of the pictures, pixels.
    """
    # of what may be drawn on the processor, training has the next number
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _Watch(backbone.network) as watch:
        try:
            backbone.features_of_shapes(size, num_examples=_NUM_EXAMPLES)
        except MISFITS:
            return []
    return watch.pairs()


class _Watch(TorchDispatchMode):
    """Sees, in a forward pass, which norms take what a convolution gives, and what else does.

    Args:
        network: Is watched.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network
        self._hooks = ExitStack()
        self._inside: _BatchNorm | None = None
        self._norms: list[_BatchNorm] = []
        # of every output that a convolution gave: kept, so that no other has its place in memory
        self._given: dict[int, tuple[Tensor, _ConvNd]] = {}
        self._taken_by: dict[int, set[_BatchNorm | None]] = {}

    def __enter__(self) -> _Watch:
        for layer in self._network.modules():
            if isinstance(layer, _ConvNd):
                handles = [layer.register_forward_hook(self._give)]
            elif isinstance(layer, _BatchNorm):
                handles = [
                    layer.register_forward_pre_hook(self._enter_norm),
                    layer.register_forward_hook(self._leave_norm),
                ]
            else:
                continue
            for handle in handles:
                self._hooks.callback(handle.remove)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._hooks.close()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        for given in tree_leaves((args, kwargs)):
            if id(given) in self._given:
                self._taken_by.setdefault(id(given), set()).add(self._inside)
        return func(*args, **(kwargs or {}))

    def _give(self, layer: _ConvNd, _inputs: Any, output: Tensor) -> None:
        self._given[id(output)] = output, layer

    def _enter_norm(self, norm: _BatchNorm, _inputs: Any) -> None:
        self._inside = norm
        self._norms.append(norm)

    def _leave_norm(self, _norm: _BatchNorm, _inputs: Any, _output: Any) -> None:
        self._inside = None

    def pairs(self) -> list[NormPair]:
        """Return what was seen."""
        layers = [layer for _, layer in self._given.values()]
        found: list[NormPair] = []
        for key, (output, layer) in self._given.items():
            takers = self._taken_by.get(key, set())
            norms = [taker for taker in takers if taker is not None]
            if not len(takers) == len(norms) == 1:
                continue
            [norm] = norms
            if layers.count(layer) == self._norms.count(norm) == 1:
                num_values = output.numel() // _NUM_EXAMPLES
                found.append(NormPair(layer, norm, num_values // output.shape[1]))
        return found
