"""Layers of torch and timm, as functions: what a convolution and a batch norm compute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from finelens.late_compiler import late_compiler

with late_compiler():
    from timm.layers.conv2d_same import Conv2dSame, conv2d_same
    from timm.layers.norm_act import BatchNormAct2d

Convolve = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""From an input, a weight and a bias, if any, to the output."""


def convolution_of(layer: _ConvNd) -> Convolve | None:
    """Return a layer as a function of its input, weight and bias.

    None: of another kind, which may do more, such as standardise its weight.
    """
    if type(layer).forward in (nn.Conv2d.forward, nn.Conv3d.forward):
        return layer._conv_forward  # pyright: ignore[reportPrivateUsage]
    if type(layer).forward is Conv2dSame.forward:
        convolve: Any = conv2d_same
        return partial(
            convolve,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
    return None


def after_norm(norm: _BatchNorm) -> Callable[[Tensor], Tensor] | None:
    """Return what a batch norm does to what it has normalised; None: of a kind not known."""
    if type(norm).forward is _BatchNorm.forward:
        return _same
    if type(norm).forward is BatchNormAct2d.forward:
        parts: Any = norm
        return lambda x: parts.act(parts.drop(x))
    return None


def _same(x: Tensor) -> Tensor:
    return x
