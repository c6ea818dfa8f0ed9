"""The dropout of parts of a view."""

from __future__ import annotations

from numpy.random import Generator
from torch import Tensor

from finelens.data.augment.settings import CountRange, Probability, Side
from finelens.data.preprocessing import Preprocessing


def coarse_dropout(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    holes: CountRange = (1, 5),
    size: Side = 8,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p under black squares of so many pixels.

    How many is uniform between the two numbers of ``holes``, both included. Squares lie wholly
    in the view, and on each other where it so happens (DeVries and Taylor, 2017, with several).
    """
    if generator.random() >= p:
        return view_CHW
    view_CHW = view_CHW.clone()  # it may share the decoded picture's memory
    full_height, full_width = view_CHW.shape[-2:]
    height, width = min(size, full_height), min(size, full_width)
    for _ in range(int(generator.integers(*holes, endpoint=True))):
        top = int(generator.integers(full_height - height + 1))
        left = int(generator.integers(full_width - width + 1))
        view_CHW[..., top : top + height, left : left + width] = 0
    return view_CHW
