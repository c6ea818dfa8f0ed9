"""The memory format: channels last, which convolutions of pictures prefer."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

_Module = TypeVar("_Module", bound=nn.Module)


def to_channels_last(module: _Module) -> _Module:
    """Return a module whose picture convolutions keep their weights channels last.

    Its own ``to`` cannot do this where it also has convolutions over time: their weights stay
    as they are.
    """
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def in_format(x: Tensor, *, channels_last: bool) -> Tensor:
    """Return pictures (B, C, H, W), or clips' frames (B, T, C, H, W), in a memory format."""
    if not channels_last:
        return x.contiguous()
    if x.ndim == 4:
        return x.contiguous(memory_format=torch.channels_last)
    frames = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return frames.unflatten(0, x.shape[:2])
