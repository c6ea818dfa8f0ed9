"""The colours of a view: steps that change every pixel by itself."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torchvision.transforms.v2 import functional

from finelens.data.augment.hsv import shift_hsv
from finelens.data.augment.settings import (
    ByteUnits,
    HueUnits,
    PositiveRange,
    Probability,
    Strength,
    Turn,
)
from finelens.data.preprocessing import Preprocessing

_LUMA = np.array([0.2989, 0.587, 0.114])  # torchvision's rgb_to_grayscale


def color_jitter(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    brightness: Strength = 0.0,
    contrast: Strength = 0.0,
    saturation: Strength = 0.0,
    hue: Turn = 0.0,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view with probability p in other colours.

    Brightness, contrast and saturation are multiplied by factors from [1 - x, 1 + x], in random
    order, then the hue is turned by up to ``hue`` of the circle. Each factor alone agrees with
    torchvision's ``adjust_*``; together they differ in that only the end is clipped.
    """
    if generator.random() >= p:
        return view_CHW
    factors = 1 + generator.uniform(-1, 1, 3) * (brightness, contrast, saturation)
    order = generator.permutation(3)
    turn = generator.uniform(-hue, hue)
    if brightness or contrast or saturation:
        view_CHW = _recolour(view_CHW, factors, order)
    return shift_hsv(view_CHW, turn=turn) if hue else view_CHW


def hue_saturation_value(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    hue: HueUnits = 10.0,
    saturation: ByteUnits = 20.0,
    value: ByteUnits = 0.0,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view with probability p shifted in HSV by up to so much either way.

    In the units of OpenCV's 8-bit HSV: of the hue 180 make the circle, and it wraps; saturation
    and value go from 0 to 255 and are clipped. Grey has hue 0: more saturation makes it red.
    """
    if generator.random() >= p:
        return view_CHW
    shifts = generator.uniform(-1, 1, 3) * (hue, saturation, value)
    return shift_hsv(
        view_CHW, turn=shifts[0] / 180, saturation=shifts[1] / 255, value=float(shifts[2])
    )


def gamma(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    range: PositiveRange = (0.6, 1.2),  # noqa: A002
    p: Probability = 1.0,
) -> Tensor:
    """Return the view with probability p raised to a power from a range, of values in [0, 1].

    Below 1 it becomes brighter. Equals torchvision's ``adjust_gamma``.
    """
    if generator.random() >= p:
        return view_CHW
    greys_1H1 = torch.arange(256, dtype=torch.uint8).view(1, 256, 1)
    return _mapped(view_CHW, functional.adjust_gamma(greys_1H1, generator.uniform(*range)).numpy())


def brightness_contrast(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    brightness: Strength = 0.2,
    contrast: Strength = 0.2,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view with probability p as ``factor x + shift``, of values 0 to 255, clipped.

    The factor is uniform in [1 - contrast, 1 + contrast] and acts about black; the shift is
    uniform in [-brightness, brightness] times 255.
    """
    if generator.random() >= p:
        return view_CHW
    factor, shift = generator.uniform(-1, 1, 2) * (contrast, brightness) * (1, 255) + (1, 0)
    table = np.clip(np.rint(factor * np.arange(256) + shift), 0, 255)
    return _mapped(view_CHW, table.astype(np.uint8))


def _mapped(view_CHW: Tensor, table: np.ndarray) -> Tensor:
    """Return the view with every value replaced by its entry in a table of 256."""
    # arithmetic on 256 values costs next to nothing, on every value of a view a millisecond
    return torch.from_numpy(np.take(table, view_CHW.numpy()))


def _recolour(view_CHW: Tensor, factors: np.ndarray, order: np.ndarray) -> Tensor:
    # all three are affine in a pixel's colour: composing them costs a third of three passes
    height, width = view_CHW.shape[-2:]
    colours_TCN = view_CHW.contiguous().to(torch.float32).view(-1, 3, height * width)
    mean_CT = colours_TCN.mean(dim=2).numpy().astype(np.float64).T
    matrix, offset_CT = np.eye(3), np.zeros_like(mean_CT)
    for kind in order:
        factor = factors[kind]
        step_matrix, step_offset_T = factor * np.eye(3), np.zeros(mean_CT.shape[1])
        if kind == 1:
            step_offset_T = (1 - factor) * (_LUMA @ (matrix @ mean_CT + offset_CT))
        elif kind == 2:
            step_matrix += (1 - factor) * _LUMA
        matrix, offset_CT = step_matrix @ matrix, step_matrix @ offset_CT + step_offset_T
    shift_TC1 = torch.from_numpy(offset_CT.T[..., None] + 0.5).to(torch.float32)
    matrices_TCC = torch.from_numpy(matrix).to(torch.float32).expand(len(colours_TCN), 3, 3)
    colours_TCN = torch.baddbmm(shift_TC1, matrices_TCC, colours_TCN)
    # numpy's conversion takes a fifth of the time of torch's
    levels_TCN = colours_TCN.clamp_(0, 255).numpy().astype(np.uint8)
    return torch.from_numpy(levels_TCN).view(view_CHW.shape)
