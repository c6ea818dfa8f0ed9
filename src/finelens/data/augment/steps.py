"""The steps of a policy: their names, checked and ready to be called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.random import Generator
from torch import Tensor

from finelens.data.augment.blur import gaussian_blur, median_blur, motion_blur
from finelens.data.augment.choice import one_of
from finelens.data.augment.colour import (
    brightness_contrast,
    color_jitter,
    gamma,
    hue_saturation_value,
)
from finelens.data.augment.dropout import coarse_dropout
from finelens.data.augment.framing import random_crop, random_resized_crop, random_scale, resize
from finelens.data.augment.geometry import flip, rotate
from finelens.data.augment.settings import StepFunction, checked_settings
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ConfigError, did_you_mean

_EXAMPLE = "{flip: {p: 0.5}}"


@dataclass(frozen=True)
class Step:
    """A step with all its settings.

    Attributes:
        name: A key of ``STEPS``.
        settings: A value for each keyword of its function; inner steps are Steps.
    """

    name: str
    settings: Mapping[str, Any]

    def __call__(
        self, view_CHW: Tensor, generator: Generator, preprocessing: Preprocessing
    ) -> Tensor:
        """Return what the step makes of a uint8 picture (C, H, W) of any size.

        Of a clip's frames (T, C, H, W) too: what is drawn is drawn once, for all of them.
        """
        return STEPS[self.name](view_CHW, generator, preprocessing, **self.settings)

    def names(self) -> Iterator[str]:
        """Return its name and those of its inner steps."""
        yield self.name
        for inner in self.settings.get("steps", ()):
            yield from inner.names()


def build_steps(steps: Any, *, place: str = "augment") -> tuple[Step, ...]:
    """Return steps such as ``{"flip": {"p": 0.5}}``, in order, checked.

    Raises:
        ConfigError: If a step or a setting is unknown (the nearest is named) or a value does not
            fit; ``place`` begins the message.
    """
    if not isinstance(steps, list | tuple):
        raise ConfigError(f"{place}: {steps!r} must be a list of steps, such as [{_EXAMPLE}]")
    return tuple(_build_step(step, place) for step in steps)


def _build_step(step: Any, place: str) -> Step:
    if not isinstance(step, Mapping) or len(step) != 1:
        raise ConfigError(f"{place}: {step} must name one step, such as {_EXAMPLE}")
    [(name, settings)] = step.items()
    if name not in STEPS:
        raise ConfigError(f'{place}: step "{name}" is unknown{did_you_mean(str(name), STEPS)}')
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{place}: {name} needs its settings as keys, such as {_EXAMPLE}")
    inner = partial(_build_inner, place=f"{place}: {name}.steps")
    return Step(name, checked_settings(STEPS[name], settings, place=place, build_inner=inner))


def _build_inner(steps: Any, *, place: str) -> tuple[Step, ...]:
    if not isinstance(steps, list | tuple) or not steps:
        raise ConfigError(f"{place}: {steps!r} must be a list of steps, such as [{_EXAMPLE}]")
    return tuple(_build_step(step, f"{place}.{n}") for n, step in enumerate(steps))


STEPS: dict[str, StepFunction] = {
    "random_resized_crop": random_resized_crop,
    "random_scale": random_scale,
    "resize": resize,
    "random_crop": random_crop,
    "flip": flip,
    "rotate": rotate,
    "color_jitter": color_jitter,
    "gamma": gamma,
    "hue_saturation_value": hue_saturation_value,
    "brightness_contrast": brightness_contrast,
    "gaussian_blur": gaussian_blur,
    "motion_blur": motion_blur,
    "median_blur": median_blur,
    "coarse_dropout": coarse_dropout,
    "one_of": one_of,
}
FRAMINGS = ("random_resized_crop", "random_scale", "resize", "random_crop")
"""Steps that themselves choose what of a picture is seen."""
