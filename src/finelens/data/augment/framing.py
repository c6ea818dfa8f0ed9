"""The framing of a picture: steps that choose what of it is seen, and how large."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor
from torchvision.transforms.v2 import functional

from finelens.data.augment.settings import AreaRange, Factor, FactorRange, PositiveRange, Side
from finelens.data.preprocessing import RESIZES, Preprocessing

_LONGEST = 32


def random_resized_crop(
    picture_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    scale: AreaRange = (0.35, 1.0),
    ratio: PositiveRange = (3 / 4, 4 / 3),
) -> Tensor:
    """Return a box of the picture at the input size, uint8 of shape (C, S, S).

    Args:
        picture_CHW: A picture of any size.
        generator: Draws where.
        preprocessing: Gives size and interpolation.
        scale: Lowest and highest area of the box over the picture's.
        ratio: Lowest and highest width over height, drawn uniformly in its logarithm. Where ten
            draws do not fit, the largest central box that obeys it, as in torchvision.
    """
    top, left, height, width = _random_box(picture_CHW.shape[-2:], generator, scale, ratio)
    box_CHW = picture_CHW[..., top : top + height, left : left + width]
    return preprocessing.resample(box_CHW, preprocessing.size, preprocessing.size)


def random_scale(
    picture_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    factor: FactorRange = (0.5, 2.0),
) -> Tensor:
    """Return the picture with both sides multiplied by one factor, drawn uniformly."""
    times = generator.uniform(*factor)
    height, width = (max(1, round(side * times)) for side in picture_CHW.shape[-2:])
    return preprocessing.resample(picture_CHW, height, width)


def resize(
    picture_CHW: Tensor,
    _generator: Generator,
    preprocessing: Preprocessing,
    *,
    shorter: Side | None = None,
    scale: Factor = 1.0,
) -> Tensor:
    """Return the picture as scoring resizes it, before it crops.

    That is in proportion, squashed or padded, by ``preprocessing.resize``. In proportion, the
    longer side is at most 32 times the shorter one.

    Args:
        picture_CHW: A picture of any size.
        preprocessing: Gives the way, size and interpolation.
        shorter: A shorter side of so many pixels, in proportion whatever scoring does.
        scale: The result's side (in proportion: its shorter side) over the input size.
    """
    target = resized_side(preprocessing, shorter=shorter, scale=scale)
    if shorter is None and preprocessing.resize != "shorter":
        return RESIZES[preprocessing.resize](picture_CHW, preprocessing.resized(target))
    return _in_proportion(picture_CHW, preprocessing, target)


def resized_side(preprocessing: Preprocessing, *, shorter: int | None, scale: float) -> int:
    """Return the side, pixels, that ``resize`` with these settings makes."""
    return shorter or max(1, round(scale * preprocessing.size))


def _in_proportion(picture_CHW: Tensor, preprocessing: Preprocessing, target: int) -> Tensor:
    factor = target / min(picture_CHW.shape[-2:])
    # a picture 1 pixel high and 5000 wide would need a gigabyte
    longest = _LONGEST * target
    height, width = (min(longest, round(side * factor)) for side in picture_CHW.shape[-2:])
    return preprocessing.resample(picture_CHW, height, width)


def random_crop(
    picture_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    size: Side | None = None,
) -> Tensor:
    """Return a square box of the picture of so many pixels, by default the input size.

    Every place is equally likely. Where the picture is smaller, it lies anywhere in the box, and
    the rest has the mean colour. As torchvision's ``RandomCrop(pad_if_needed=True)``.
    """
    side = size or preprocessing.size
    height, width = picture_CHW.shape[-2:]
    top, left = (
        int(generator.integers(min(0, full - side), max(0, full - side), endpoint=True))
        for full in (height, width)
    )
    box_CHW = picture_CHW[..., max(0, top) : top + side, max(0, left) : left + side]
    margins = [-left, -top, left + side - width, top + side - height]
    if max(margins) <= 0:
        return box_CHW
    return functional.pad(box_CHW, [max(0, px) for px in margins], fill=preprocessing.fill)


def _random_box(
    shape: Sequence[int],
    generator: Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a box that lies in the picture."""
    full_height, full_width = shape
    for _ in range(10):
        area = full_height * full_width * generator.uniform(*scale)
        aspect = math.exp(generator.uniform(math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < height <= full_height and 0 < width <= full_width:
            top = int(generator.integers(full_height - height + 1))
            return top, int(generator.integers(full_width - width + 1)), height, width
    height = min(full_height, max(1, round(full_width / ratio[0])))
    width = min(full_width, max(1, round(full_height * ratio[1])))
    return (full_height - height) // 2, (full_width - width) // 2, height, width
