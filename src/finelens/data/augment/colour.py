"""The colours of a view: steps that change every pixel by itself."""

from __future__ import annotations

import math

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
_WHITE = float(_LUMA.sum())
# pixels in a row of a matrix: a product with rows of one pixel takes four times as long
_TOGETHER = 8
_SAME_PP = np.eye(3 * _TOGETHER, dtype=np.float32)
_GREY_PP = np.kron(np.eye(_TOGETHER), np.outer(_LUMA, np.ones(3))).astype(np.float32)


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
    """Return the view with brightness, contrast and saturation multiplied, in an order."""
    pictures_THWC = view_CHW.movedim(-3, -1).contiguous().view(-1, *view_CHW.shape[-2:], 3)
    num_values = pictures_THWC[0].numel()
    colours_TGP = _grouped(pictures_THWC.flatten(1))
    sums_TC = colours_TGP.sum(dim=1).view(-1, _TOGETHER, 3).sum(dim=1)
    mean_grey_T = sums_TC.numpy().astype(np.float64) @ _LUMA / (num_values // 3)
    # each makes of a colour x: own x + grey grey(x) + shift; one pass costs a third of three
    own, grey, shift_T = 1.0, 0.0, np.zeros_like(mean_grey_T)
    for kind in order:
        factor = float(factors[kind])
        saturating, added_T = 0.0, 0.0
        if kind == 1:
            added_T = (1 - factor) * ((own + grey * _WHITE) * mean_grey_T + shift_T * _WHITE)
        elif kind == 2:
            saturating = 1 - factor
        grey = factor * grey + saturating * (own + grey * _WHITE)
        shift_T = (factor + saturating * _WHITE) * shift_T + added_T
        own *= factor
    # 0.5 more, and the fraction cut off, is rounded
    shift_T11 = torch.from_numpy((shift_T + 0.5).astype(np.float32)).view(-1, 1, 1)
    matrix_PP = torch.from_numpy(own * _SAME_PP + grey * _GREY_PP)
    colours_TGP = torch.baddbmm(shift_T11, colours_TGP, matrix_PP.expand(len(shift_T), -1, -1))
    # numpy's conversion takes a fifth of the time of torch's
    levels_TGP = torch.from_numpy(colours_TGP.clamp_(0, 255).numpy().astype(np.uint8))
    levels_THWC = levels_TGP.flatten(1)[:, :num_values].view(pictures_THWC.shape)
    return levels_THWC.movedim(-1, -3).view(view_CHW.shape)


def _grouped(values_TN: Tensor) -> Tensor:
    """Return pixels in groups of ``_TOGETHER``, float32 (T, G, P); zeros fill the last."""
    num_groups = math.ceil(values_TN.shape[1] / len(_SAME_PP))
    shape_TGP = (len(values_TN), num_groups, len(_SAME_PP))
    values_TGP = torch.empty(shape_TGP, dtype=torch.float32)
    flat_TN = values_TGP.view(len(values_TN), -1)
    flat_TN[:, : values_TN.shape[1]] = values_TN
    flat_TN[:, values_TN.shape[1] :] = 0
    return values_TGP
