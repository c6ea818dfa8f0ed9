"""The geometry of a view: steps that mirror and turn it."""

from __future__ import annotations

from numpy.random import Generator
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from finelens.data.augment.settings import Degrees, Probability
from finelens.data.preprocessing import Preprocessing


def flip(
    view_CHW: Tensor, generator: Generator, _preprocessing: Preprocessing, *, p: Probability = 0.5
) -> Tensor:
    """Return the view, mirrored left to right with probability p."""
    return functional.horizontal_flip(view_CHW) if generator.random() < p else view_CHW


def rotate(
    view_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    degrees: Degrees = 10.0,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p turned by up to so many degrees either way.

    The corners that come into sight have the mean colour.
    """
    if generator.random() >= p:
        return view_CHW
    angle = generator.uniform(-degrees, degrees)
    bilinear = InterpolationMode.BILINEAR
    # a clip's frames as so many channels take half the time
    channels = view_CHW.reshape(-1, *view_CHW.shape[-2:])
    fill = preprocessing.fill * (len(channels) // 3)
    turned = functional.rotate(channels, angle, interpolation=bilinear, fill=fill)
    return turned.view(view_CHW.shape)
