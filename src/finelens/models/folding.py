"""Folding: a batch norm that keeps its statistics becomes part of the convolution before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from finelens.models.classifier import Classifier
from finelens.models.forwards import forwards_replaced
from finelens.models.library_layers import after_norm, convolution_of
from finelens.models.norm_pairs import NormPair, find_norm_pairs

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

    def __init__(self, pairs: list[NormPair]) -> None:
        self.pairs = pairs
        # made once: a recording and a compiled network go on with these very functions
        self._forwards = dict(chain.from_iterable(map(_folded, pairs)))

    def applied(self) -> AbstractContextManager[None]:
        """Return a block in which the network computes so; only for training as it was then."""
        return forwards_replaced(self._forwards)


def fold(
    classifier: Classifier,
    *,
    size: int,
    num_examples: int,
    may_fold: Callable[[nn.Module], bool] = lambda _: True,
) -> Folding:
    """Return what can be folded in a classifier's backbone, and is worth it.

    That is a batch norm that keeps its statistics, behind a convolution that trains: there the
    backward pass would go through both. It is not worth it where a channel has more weights than
    outputs in a batch. Frozen layers compute as in scoring, to the last bit.

    Args:
        classifier: As ``set_training`` left it; its statistics stay as they are from now on.
        size: Side of the pictures, pixels.
        num_examples: What the network sees in a batch: pictures, or clips where it takes clips.
        may_fold: Which convolutions are folded.
    """
    layers = list(classifier.backbone.network.modules())
    if not any(isinstance(layer, _BatchNorm) and not layer.training for layer in layers):
        return Folding([])
    if not any(isinstance(layer, _ConvNd) and layer.weight.requires_grad for layer in layers):
        return Folding([])
    return Folding(
        [
            pair
            for pair in find_norm_pairs(classifier.backbone, size)
            if _is_known(pair)
            and not pair.norm.training
            and may_fold(pair.convolution)
            and pair.convolution.weight.requires_grad
            and num_examples * pair.num_positions >= pair.convolution.weight[0].numel()
        ]
    )


def _is_known(pair: NormPair) -> bool:
    has_statistics = pair.norm.running_mean is not None
    return has_statistics and None not in (
        convolution_of(pair.convolution),
        after_norm(pair.norm),
    )


def _folded(pair: NormPair) -> Iterator[tuple[nn.Module, _Forward]]:
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
        ctx.positions = list(range(2, x.ndim))
        zeros_C, ones_C = torch.zeros_like(bias_C), torch.ones_like(bias_C)
        # one pass over memory, though the two are of two precisions
        shifted, *_ = torch.native_batch_norm(x, None, bias_C, zeros_C, ones_C, False, 0.0, 0.0)
        return shifted

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of both."""
        [gradient] = gradients
        # in float32: of a norm's weight it is one of two large parts that leave a small rest
        of_each_BC = gradient.sum(ctx.positions, dtype=torch.float32)
        return gradient, of_each_BC.sum(0)
