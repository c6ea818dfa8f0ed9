"""Augmentation: random views of a picture, every draw keyed by the sample."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from finelens.config.training import AugmentStep
from finelens.data.augment.framing import resized_side
from finelens.data.augment.generator import sample_generator
from finelens.data.augment.policies import POLICIES
from finelens.data.augment.steps import FRAMINGS, Step, build_steps
from finelens.data.box import Box
from finelens.data.images import ImageArray
from finelens.data.preprocessing import Preprocessing, as_tensor, squashed
from finelens.errors import ConfigError, did_you_mean

_SOLE_FRAMING = "random_resized_crop"
_CERTAIN_FRAMING = "resize"


class Augmentation:
    """A policy, ready to draw the view of a sample.

    Args:
        steps: A name of ``POLICIES``, or steps such as ``{"flip": {"p": 0.5}}`` in order. They
            begin from the whole picture where one of them is in ``FRAMINGS``, else from the
            evaluation view; what comes out in another size is squashed to the input's.
        preprocessing: Gives size, interpolation, mean colour and the evaluation view.

    Raises:
        ConfigError: If a policy, a step or a setting is unknown (the nearest is named) or a value
            does not fit.
    """

    def __init__(self, steps: str | Sequence[AugmentStep], preprocessing: Preprocessing) -> None:
        self.steps = build_steps(_policy(steps) if isinstance(steps, str) else steps)
        self._is_whole = _check_framing(self.steps)
        self.preprocessing = preprocessing
        has_certain = bool(self.steps) and self.steps[0].name == _CERTAIN_FRAMING
        self._certain = self.steps[:has_certain]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (C, S, S), the shape of every view."""
        return (3, self.preprocessing.size, self.preprocessing.size)

    @functools.cached_property
    def beginning(self) -> str:
        """Return all that decides what ``begin`` makes of a picture, as a text."""
        preprocessing = self.preprocessing
        seen = (preprocessing.size, preprocessing.resize, preprocessing.crop_fraction,
                preprocessing.interpolation, preprocessing.fill)  # fmt: skip
        decoded = "" if self.least_side is None else f" of {self.least_side}"
        if not self._is_whole:
            return f"view {seen}{decoded}"
        if self._certain:
            return f"{self._certain} {seen}{decoded}"
        side = self._most_side
        kept = "whole" if side is None else f"whole {side} {preprocessing.interpolation}"
        return f"{kept}{decoded}"

    @property
    def has_chance(self) -> bool:
        """Return whether two draws may differ."""
        return len(self.steps) > len(self._certain)

    @property
    def least_side(self) -> int | None:
        """Return the shorter side, pixels, that a picture is decoded at; None: full size.

        See ``Preprocessing.least_side``. Every draw has the preprocessing's gap: a box of
        ``random_resized_crop`` on its narrower side. Other steps that choose what is seen count
        the pixels of the picture, unless a ``resize`` comes first.
        """
        if not self._is_whole:
            return self.preprocessing.least_side
        first = self.steps[0]
        if self._certain:
            return self.preprocessing.least_side_for(
                resized_side(self.preprocessing, **first.settings)
            )
        if first.name != _SOLE_FRAMING:
            return None
        narrowest = min(1.0, first.settings["ratio"][0], 1 / first.settings["ratio"][1])
        return self.preprocessing.least_side_for(self._filling_side / math.sqrt(narrowest))

    def __call__(self, image_HWC: ImageArray, generator: Generator) -> Tensor:
        """Return one view of a picture of any size, uint8 of shape (C, S, S).

        The frames of a clip, (T, H, W, 3), give (T, C, S, S) under one draw for all of them.
        """
        return self.draw(self.begin(image_HWC), generator)

    def begin(self, image_HWC: ImageArray) -> Tensor:
        """Return what the draws begin from, uint8 (C, H, W): nothing in it is drawn.

        It is the evaluation view, or where a step is in ``FRAMINGS`` the whole picture, after
        ``resize`` where that is the first step. The frames of a clip (T, H, W, 3) before
        ``random_resized_crop`` are no larger than its smallest box needs to fill the input: they
        are kept for later epochs, and at full size would take gigabytes.
        """
        if not self._is_whole:
            return self.preprocessing(image_HWC)
        picture_CHW = as_tensor(image_HWC)
        for step in self._certain:
            # it draws nothing of its generator
            picture_CHW = step(picture_CHW, sample_generator(0, 0, 0), self.preprocessing)
        side, (height, width) = self._most_side, picture_CHW.shape[-2:]
        if side is None or min(height, width) <= side:
            return picture_CHW
        height, width = (round(length * side / min(height, width)) for length in (height, width))
        return self.preprocessing.resample(picture_CHW, height, width)

    def begins_unchanged(self, height: int, width: int) -> bool:
        """Return whether ``begin`` gives pictures of this size as they are, at no cost."""
        size = self.preprocessing.size
        if not self._is_whole:
            whole = Box(0, 0, width, height)
            return height == width == size and self.preprocessing.box(height, width) == whole
        side = self._most_side
        return not self._certain and (side is None or min(height, width) <= side)

    def draw(self, view_CHW: Tensor, generator: Generator) -> Tensor:
        """Return a view drawn of what ``begin`` gave, uint8 of shape (C, S, S).

        Of frames (T, C, H, W), the same draw for all: (T, C, S, S).
        """
        for step in self.steps[len(self._certain) :]:
            view_CHW = step(view_CHW, generator, self.preprocessing)
        is_view = view_CHW.shape[-3:] == self.shape
        return view_CHW if is_view else squashed(view_CHW, self.preprocessing)

    @property
    def _most_side(self) -> int | None:
        """Return the shorter side that a clip's frames are brought down to, None for their own."""
        if self.preprocessing.frames is None or self.steps[0].name != _SOLE_FRAMING:
            return None
        return self._filling_side

    @property
    def _filling_side(self) -> int:
        """Return the shorter side of which the smallest square box fills the input."""
        lowest_area = self.steps[0].settings["scale"][0]
        return math.ceil(self.preprocessing.size / math.sqrt(lowest_area))


def _policy(name: str) -> tuple[AugmentStep, ...]:
    if name not in POLICIES:
        raise ConfigError(f'augment: policy "{name}" is unknown{did_you_mean(name, POLICIES)}')
    return POLICIES[name]


def _check_framing(steps: Sequence[Step]) -> bool:
    """Return whether a step chooses what of a picture is seen."""
    names = [name for step in steps for name in step.names()]
    framings = [name for name in names if name in FRAMINGS]
    if _SOLE_FRAMING in framings and (names[0] != _SOLE_FRAMING or len(framings) > 1):
        others = ", ".join(name for name in FRAMINGS if name != _SOLE_FRAMING)
        raise ConfigError(
            f"augment: {_SOLE_FRAMING} must be the first step, and the only one to choose what "
            f"is seen (others are {others})"
        )
    return bool(framings)
