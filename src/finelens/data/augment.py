"""Augmentation: random views of a picture, every draw keyed by the sample."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, get_type_hints

import numpy as np
import torch
from numpy.random import Generator
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, create_model
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from finelens.config.training import AugmentStep
from finelens.data.images import ImageArray
from finelens.data.preprocessing import Preprocessing, as_tensor
from finelens.errors import ConfigError, did_you_mean


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first must not exceed the second")
    return pair


Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Strength = Annotated[float, Field(ge=0.0, le=1.0)]
Area = Annotated[float, Field(gt=0.0, le=1.0)]
AreaRange = Annotated[tuple[Area, Area], AfterValidator(_rising)]
Positive = Annotated[float, Field(gt=0.0)]
RatioRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]

_LUMA = np.array([0.2989, 0.587, 0.114])  # torchvision's rgb_to_grayscale


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """Return the random generator of a sample in an epoch: all randomness of loading is its.

    Counter-based (Philox; Salmon et al. 2011): it depends on the three numbers alone, each 0 or
    more and below 2**64, and the draws of two samples never overlap.
    """
    counter = np.array([0, 0, epoch, index], dtype=np.uint64)
    return Generator(np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=counter))


class Augmentation:
    """A policy, ready to draw the view of a sample.

    Args:
        steps: A name of ``POLICIES``, or steps such as ``{"flip": {"p": 0.5}}`` in order.
            Without a random crop, which must come first, they begin from the evaluation view.
        preprocessing: Gives size, interpolation and the evaluation view.

    Raises:
        ConfigError: If a policy, a step or a setting is unknown (the nearest is named) or a value
            does not fit.
    """

    def __init__(self, steps: str | Sequence[AugmentStep], preprocessing: Preprocessing) -> None:
        named = _ready_steps(_policy(steps) if isinstance(steps, str) else steps)
        if any(name in CROPS for name, _ in named[1:]):
            raise ConfigError("augment: a random crop must be the first step, and the only crop")
        self.preprocessing = preprocessing
        self._crops = bool(named) and named[0][0] in CROPS
        self._steps = [step for _, step in named]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (C, S, S), the shape of every view."""
        return (3, self.preprocessing.size, self.preprocessing.size)

    def __call__(self, image_HWC: ImageArray, generator: Generator) -> Tensor:
        """Return one view of a picture of any size, uint8 of shape (C, S, S)."""
        view_CHW = as_tensor(image_HWC) if self._crops else self.preprocessing(image_HWC)
        for step in self._steps:
            view_CHW = step(view_CHW, generator, self.preprocessing)
        return view_CHW


def random_resized_crop(
    picture_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    scale: AreaRange = (0.35, 1.0),
    ratio: RatioRange = (3 / 4, 4 / 3),
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
    box_CHW = picture_CHW[:, top : top + height, left : left + width]
    return preprocessing.resample(box_CHW, preprocessing.size, preprocessing.size)


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
    degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 10.0,
    p: Probability = 1.0,
) -> Tensor:
    """Return the view, with probability p turned by up to so many degrees either way.

    The corners that come into sight have the mean colour.
    """
    if generator.random() >= p:
        return view_CHW
    angle = generator.uniform(-degrees, degrees)
    bilinear = InterpolationMode.BILINEAR
    return functional.rotate(view_CHW, angle, interpolation=bilinear, fill=preprocessing.fill)


def color_jitter(
    view_CHW: Tensor,
    generator: Generator,
    _preprocessing: Preprocessing,
    *,
    brightness: Strength = 0.0,
    contrast: Strength = 0.0,
    saturation: Strength = 0.0,
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0,
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
    return functional.adjust_hue(view_CHW, turn) if hue else view_CHW


def _recolour(view_CHW: Tensor, factors: np.ndarray, order: np.ndarray) -> Tensor:
    # all three are affine in a pixel's colour: composing them costs a third of three passes
    colours_CN = view_CHW.contiguous().to(torch.float32).view(3, -1)
    mean = colours_CN.mean(dim=1).numpy().astype(np.float64)
    matrix, offset = np.eye(3), np.zeros(3)
    for kind in order:
        factor = factors[kind]
        step_matrix, step_offset = factor * np.eye(3), np.zeros(3)
        if kind == 1:
            step_offset += (1 - factor) * (_LUMA @ (matrix @ mean + offset))
        elif kind == 2:
            step_matrix += (1 - factor) * _LUMA
        matrix, offset = step_matrix @ matrix, step_matrix @ offset + step_offset
    shift = torch.from_numpy(offset[:, None] + 0.5).to(torch.float32)
    colours_CN = torch.addmm(shift, torch.from_numpy(matrix).to(torch.float32), colours_CN)
    return colours_CN.clamp_(0, 255).to(torch.uint8).view(view_CHW.shape)


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


def _policy(name: str) -> tuple[AugmentStep, ...]:
    if name not in POLICIES:
        raise ConfigError(f'augment: policy "{name}" is unknown{did_you_mean(name, POLICIES)}')
    return POLICIES[name]


def _ready_steps(steps: Sequence[AugmentStep]) -> list[tuple[str, Callable[..., Tensor]]]:
    ready = []
    for step in steps:
        if len(step) != 1:
            raise ConfigError(f"augment: {step} must name one step, such as {{flip: {{p: 0.5}}}}")
        [(name, settings)] = step.items()
        if name not in STEPS:
            raise ConfigError(f'augment: step "{name}" is unknown{did_you_mean(name, STEPS)}')
        ready.append((name, partial(STEPS[name], **_checked_settings(name, settings))))
    return ready


def _checked_settings(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return all settings of a step, checked against its function's annotations."""
    hints = get_type_hints(STEPS[name], include_extras=True)
    parameters = inspect.signature(STEPS[name]).parameters.values()
    fields: dict[str, Any] = {
        parameter.name: (hints[parameter.name], parameter.default)
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for setting in settings:
        if setting not in fields:
            known = did_you_mean(setting, fields)
            raise ConfigError(f'augment: {name} has no setting "{setting}"{known}')
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    try:
        return model(**settings).model_dump()
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, (name, *problem["loc"])))
        raise ConfigError(
            f"augment: {place}: {problem['input']!r} does not fit: {problem['msg'].lower()}"
        ) from error


CROPS = ("random_resized_crop",)
STEPS: dict[str, Callable[..., Tensor]] = {
    "random_resized_crop": random_resized_crop,
    "flip": flip,
    "rotate": rotate,
    "color_jitter": color_jitter,
}
POLICIES: dict[str, tuple[AugmentStep, ...]] = {
    "none": (),
    "light": ({"random_resized_crop": {"scale": [0.6, 1.0]}}, {"flip": {}}),
    "standard": (
        {"random_resized_crop": {"scale": [0.35, 1.0]}},
        {"flip": {}},
        {"color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}},
    ),
}
