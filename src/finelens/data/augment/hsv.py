"""Hue, saturation and value of a view, shifted."""

from __future__ import annotations

import torch
from torch import Tensor


def shift_hsv(
    view_CHW: Tensor, *, turn: float = 0.0, saturation: float = 0.0, value: float = 0.0
) -> Tensor:
    """Return a view with other hues, saturations and values, uint8 of the same shape.

    The hexcone model of Smith (1978), as ``colorsys`` has it, up to rounding.

    Args:
        view_CHW: uint8, red first.
        turn: Added to the hue, of the circle, in [-0.5, 0.5]; it wraps.
        saturation: Added to the saturation, which is clipped to [0, 1].
        value: Added to the value, which is clipped to [0, 255].
    """
    red_HW, green_HW, blue_HW = view_CHW.contiguous().to(torch.float32).unbind(dim=-3)
    value_HW = torch.maximum(torch.maximum(red_HW, green_HW), blue_HW)
    chroma_HW = value_HW - torch.minimum(torch.minimum(red_HW, green_HW), blue_HW)
    sixth_HW = _sixth(red_HW, green_HW, blue_HW, value_HW, chroma_HW).add_(6 * turn)
    sixth_HW.sub_((sixth_HW / 6).floor_().mul_(6))
    if saturation:
        share_HW = chroma_HW.div_(value_HW.clamp(min=1)).add_(saturation).clamp_(0, 1)
        value_HW.add_(value).clamp_(0, 255)
        chroma_HW = share_HW.mul_(value_HW)
    elif value:
        shifted_HW = (value_HW + value).clamp_(0, 255)
        chroma_HW.mul_(shifted_HW / value_HW.clamp(min=1))
        value_HW = shifted_HW
    return _from_sixth(sixth_HW, value_HW, chroma_HW)


def _sixth(
    red_HW: Tensor, green_HW: Tensor, blue_HW: Tensor, value_HW: Tensor, chroma_HW: Tensor
) -> Tensor:
    """Return the hue in sixths of the circle, in [-1, 5]; 0 for grey."""
    nonzero_HW = chroma_HW.clamp(min=1)
    sixth_HW = (red_HW - green_HW).div_(nonzero_HW).add_(4)
    of_green_HW = (blue_HW - red_HW).div_(nonzero_HW).add_(2)
    sixth_HW = torch.where(value_HW == green_HW, of_green_HW, sixth_HW)
    of_red_HW = (green_HW - blue_HW).div_(nonzero_HW)
    return torch.where(value_HW == red_HW, of_red_HW, sixth_HW)


def _from_sixth(sixth_HW: Tensor, value_HW: Tensor, chroma_HW: Tensor) -> Tensor:
    """Return the colours of a hue in [0, 6], a value in [0, 255] and a chroma below it."""
    *frames, height, width = value_HW.shape
    view_CHW = torch.empty((*frames, 3, height, width), dtype=torch.uint8)
    value_HW = value_HW + 0.5
    # how much of the chroma a channel lacks: nothing within a sixth of its own hue, all of it
    # two sixths and more away; red's own hue is both ends of the circle
    lacks = (
        (sixth_HW - 3).abs_().neg_().add_(2),
        (sixth_HW - 2).abs_().sub_(1),
        (sixth_HW - 4).abs_().sub_(1),
    )
    for channel, lack_HW in enumerate(lacks):
        view_CHW[..., channel, :, :] = value_HW - lack_HW.clamp_(0, 1).mul_(chroma_HW)
    return view_CHW
