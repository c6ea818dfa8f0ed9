"""The blurs of a view."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor
from torchvision.transforms.v2 import functional

from finelens.data.augment.settings import (
    MedianKernel,
    OddKernel,
    PositiveRange,
    Probability,
)
from finelens.data.preprocessing import Preprocessing


def gaussian_blur(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    kernel: OddKernel = 3,
    sigma: PositiveRange | None = None,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p under a Gaussian of so many pixels.

    Its standard deviation is drawn uniformly, in pixels; without a range it is OpenCV's for the
    kernel, 0.3 ((kernel - 1) / 2 - 1) + 0.8. Equals torchvision's ``gaussian_blur``.
    """
    if generator.random() >= p:
        return view_CHW
    spread = 0.3 * ((kernel - 1) / 2 - 1) + 0.8 if sigma is None else generator.uniform(*sigma)
    margin, (height, width) = kernel // 2, view_CHW.shape[-2:]
    if min(height, width) > margin:
        return _smoothed(view_CHW, kernel, spread)
    wide_CHW = _smoothed(_widened(view_CHW, margin, "reflect"), kernel, spread)
    return wide_CHW[..., margin : margin + height, margin : margin + width]


def motion_blur(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    kernel: OddKernel = 3,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p averaged along a line of so many pixels.

    The line goes through the pixel; its direction is uniform. Beyond the border the view is
    mirrored.
    """
    if generator.random() >= p:
        return view_CHW
    line_KK = torch.from_numpy(_line(kernel, generator.uniform(0, math.pi))).to(torch.float32)
    wide_CHW = _widened(view_CHW, kernel // 2, "reflect").to(torch.float32)
    num_channels = wide_CHW.shape[-3]
    weights_C1KK = line_KK.expand(num_channels, 1, kernel, kernel)
    blurred_CHW = F.conv2d(wide_CHW, weights_C1KK, groups=num_channels)
    return blurred_CHW.add_(0.5).clamp_(0, 255).to(torch.uint8)


def median_blur(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    kernel: MedianKernel = 3,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p each value the median of the square around it.

    Beyond the border the outermost pixels are repeated, as in OpenCV's ``medianBlur``.
    """
    if generator.random() >= p:
        return view_CHW
    wide_CHW = _widened(view_CHW, kernel // 2, "edge")
    if kernel == 3:
        return _median_of_nine(wide_CHW)
    return _median_of_square(wide_CHW, kernel)


def _smoothed(view_CHW: Tensor, kernel: int, spread: float) -> Tensor:
    # a clip's frames as so many channels take half the time
    channels = view_CHW.reshape(-1, *view_CHW.shape[-2:])
    smooth = functional.gaussian_blur(channels, [kernel, kernel], [spread, spread])
    return smooth.view(view_CHW.shape)


def _line(kernel: int, angle: float) -> np.ndarray:
    """Return the weights of a line through the middle, shape (kernel, kernel), of sum 1."""
    along, across = math.cos(angle), math.sin(angle)
    is_steep = abs(across) > abs(along)
    slope = along / across if is_steep else across / along
    places = np.arange(kernel)
    heights = kernel // 2 + (places - kernel // 2) * slope
    below = np.floor(heights).astype(int)
    weights = np.zeros((kernel, kernel))
    weights[below, places] = 1 - (heights - below)
    weights[np.minimum(below + 1, kernel - 1), places] += heights - below
    return (weights.T.copy() if is_steep else weights) / kernel


def _widened(view_CHW: Tensor, margin: int, mode: Literal["reflect", "edge"]) -> Tensor:
    # unlike torch's, numpy's padding takes uint8 and sides of one pixel
    margins = [(0, 0)] * (view_CHW.ndim - 2) + [(margin, margin)] * 2
    return torch.from_numpy(np.pad(view_CHW.contiguous().numpy(), margins, mode=mode))


def _median_of_nine(wide_CHW: Tensor) -> Tensor:
    """Return the median of the 3 x 3 around each value but the outermost."""
    height, width = (side - 2 for side in wide_CHW.shape[-2:])
    columns = _sorted_three(*(wide_CHW[..., n : n + height, :] for n in range(3)))
    # the median of nine is that of the highest low, the middle middle and the lowest high of
    # three sorted columns, and neighbours share their columns (Paeth, 1990)
    low, middle, high = (tuple(column[..., n : n + width] for n in range(3)) for column in columns)
    highest_low = torch.maximum(torch.maximum(low[0], low[1]), low[2])
    lowest_high = torch.minimum(torch.minimum(high[0], high[1]), high[2])
    return _median_of_three(highest_low, _median_of_three(*middle), lowest_high)


def _median_of_square(wide_CHW: Tensor, kernel: int) -> Tensor:
    """Return the median of the square around each value that has a whole one.

    Neither the least nor the greatest of more than half of the values is the median: both are
    forgotten and another value joins the rest, until one is left. On whole views at once that is
    as fast as torch's median of every square at 15 pixels, and ten times as fast at 5.
    """
    height, width = (side - kernel + 1 for side in wide_CHW.shape[-2:])
    views = [
        wide_CHW[..., top : top + height, left : left + width]
        for top in range(kernel)
        for left in range(kernel)
    ]
    num_first = len(views) // 2 + 2
    kept = _without_extremes(views[:num_first])
    for view in views[num_first:]:
        kept = _without_extremes([*kept, view])
    return kept[0]


def _without_extremes(views: list[Tensor]) -> list[Tensor]:
    """Return N > 2 views but, at each place, the least and the greatest of their values."""
    values, last = list(views), len(views) - 1

    def sort(low: int, high: int) -> None:
        a, b = values[low], values[high]
        values[low], values[high] = torch.minimum(a, b), torch.maximum(a, b)

    for low in range(len(values) // 2):
        sort(low, last - low)
    # the least is now in the first half and the greatest in the second, or in the middle
    for high in range(1, (len(values) + 1) // 2):
        sort(0, high)
    for low in range(len(values) // 2, last):
        sort(low, last)
    return values[1:-1]


def _sorted_three(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b = torch.minimum(a, b), torch.maximum(a, b)
    b, c = torch.minimum(b, c), torch.maximum(b, c)
    return torch.minimum(a, b), torch.maximum(a, b), c


def _median_of_three(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return torch.maximum(low, torch.minimum(high, c))
