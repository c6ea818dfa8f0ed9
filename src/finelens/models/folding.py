"""Folding: a batch norm that keeps its statistics becomes part of the convolution before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from finelens.models.classifier import Classifier
from finelens.models.forwards import forwards_replaced
from finelens.models.library_layers import after_norm, convolution_of

_Forward = Callable[[Tensor], Tensor]


class Folding:
    """Batch norms that are folded into the convolutions before them while a phase trains.

    With kept mean m and variance v, weight g and shift b, ``norm(conv(x))`` is the convolution of
    weight ``w * g / sqrt(v + eps)`` and bias ``b - m * g / sqrt(v + eps)`` (Jacob et al.,
    "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    CVPR 2018, equation 14). Weight and bias are made anew in every forward pass, so w, g and b
    train as before, up to rounding. What the convolution gave is not kept for the backward pass,
    nor gone over again: half of a ResNet50's memory, and a third of its time on a GPU.

    Attributes:
        pairs: The convolutions and their batch norms.
    """

    def __init__(self, pairs: list[Pair]) -> None:
        self.pairs = pairs
        # made once: a recording and a compiled network go on with these very functions
        self._forwards = dict(chain.from_iterable(map(_folded, pairs)))

    def applied(self) -> AbstractContextManager[None]:
        """Return a block in which the network computes so; only for training as it was then."""
        return forwards_replaced(self._forwards)


@dataclass(frozen=True)
class Pair:
    """A convolution and the batch norm that alone takes what it gives.

    Attributes:
        convolution: The first.
        norm: The second.
        num_positions: Of one picture's, or one clip's, output: height x width (x time).
    """

    convolution: _ConvNd
    norm: _BatchNorm
    num_positions: int


def fold(classifier: Classifier, *, size: int, num_examples: int) -> Folding:
    """Return what can be folded in a classifier's backbone, and is worth it.

    That is a batch norm that keeps its statistics, where it or its convolution trains: there the
    backward pass would go through both. It is not worth it where a channel has more weights than
    outputs in a batch. Frozen layers compute as in scoring, to the last bit.

    Args:
        classifier: As ``set_training`` left it.
        size: Side of the pictures, pixels.
        num_examples: What the network sees in a batch: pictures, or clips where it takes clips.
    """
    return Folding(
        [
            pair
            for pair in _find_pairs(classifier, size)
            if not pair.norm.training
            and any(weight.requires_grad for weight in _weights(pair))
            and num_examples * pair.num_positions >= pair.convolution.weight[0].numel()
        ]
    )


def _weights(pair: Pair) -> Iterator[nn.Parameter]:
    return chain(pair.convolution.parameters(), pair.norm.parameters())


def _folded(pair: Pair) -> Iterator[tuple[nn.Module, _Forward]]:
    """Give both layers with what they compute by."""
    layer, norm = pair.convolution, pair.norm
    convolve, finish = convolution_of(layer), after_norm(norm)
    assert convolve is not None and finish is not None
    assert norm.running_mean is not None and norm.running_var is not None
    inverse_std_C = torch.rsqrt(norm.running_var + norm.eps)
    centre_C = -norm.running_mean * inverse_std_C
    per_channel = (-1, *[1] * (layer.weight.ndim - 1))

    def forward(x: Tensor) -> Tensor:
        scale_C, bias_C = inverse_std_C, centre_C
        if norm.weight is not None:
            scale_C, bias_C = scale_C * norm.weight, bias_C * norm.weight
        if norm.bias is not None:
            bias_C = bias_C + norm.bias
        if layer.bias is not None:
            bias_C = torch.addcmul(bias_C, scale_C, layer.bias)
        weight = layer.weight * scale_C.view(per_channel)
        if not torch.is_autocast_enabled(x.device.type):
            return convolve(x, weight, bias_C)
        return _Shift.apply(convolve(x, weight, None), bias_C)

    yield layer, forward
    yield norm, finish


class _Shift(torch.autograd.Function):
    """Add a float32 bias to what a convolution gave in bf16.

    A convolution's own would be rounded to bf16, which moves all of a channel to one side: it made
    the gradients of a MobileNetV2 a fifth less exact.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias_C: Tensor) -> Tensor:
        """Return the sum, rounded once."""
        ctx.axes = [0, *range(2, x.ndim)]
        zeros_C, ones_C = torch.zeros_like(bias_C), torch.ones_like(bias_C)
        # the one operation that takes two precisions at full speed on a CPU
        shifted, *_ = torch.native_batch_norm(x, None, bias_C, zeros_C, ones_C, False, 0.0, 0.0)
        return shifted

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of both."""
        [gradient] = gradients
        return gradient, gradient.sum(ctx.axes).float()


def _find_pairs(classifier: Classifier, size: int) -> list[Pair]:
    with _Watch(classifier.backbone.network) as watch:
        classifier.backbone.check_size(size)
    return watch.pairs()


class _Watch(TorchDispatchMode):
    """Sees, in a forward pass, which layers take what a convolution gives, and which operations.

    Args:
        network: Is watched.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network
        self._hooks = ExitStack()
        self._inside: _BatchNorm | None = None
        # of every output that a convolution gave: kept, so that no other has its place in memory
        self._given: dict[int, tuple[Tensor, _ConvNd]] = {}
        self._taken_by: dict[int, set[_BatchNorm | None]] = {}
        self._norms: list[_BatchNorm] = []

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

    def pairs(self) -> list[Pair]:
        """Return the convolutions whose only taker is a batch norm, each called once, in order."""
        layers = [layer for _, layer in self._given.values()]
        found: list[Pair] = []
        for key, (output, layer) in self._given.items():
            takers = self._taken_by.get(key, set())
            norms = [taker for taker in takers if taker is not None]
            if not len(takers) == len(norms) == 1:
                continue
            [norm] = norms
            is_once = layers.count(layer) == self._norms.count(norm) == 1
            if is_once and self._is_known(layer, norm):
                found.append(Pair(layer, norm, output[0, 0].numel()))
        return found

    @staticmethod
    def _is_known(layer: _ConvNd, norm: _BatchNorm) -> bool:
        has_statistics = norm.running_mean is not None
        return has_statistics and None not in (convolution_of(layer), after_norm(norm))
