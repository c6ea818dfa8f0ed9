"""Augmentation: random views of a picture, every draw keyed by the sample."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from finelens.config.training import AugmentStep
from finelens.data.augment.policies import POLICIES
from finelens.data.augment.steps import FRAMINGS, Step, build_steps
from finelens.data.images import ImageArray
from finelens.data.preprocessing import Preprocessing, as_tensor, squashed
from finelens.errors import ConfigError, did_you_mean

_SOLE_FRAMING = "random_resized_crop"


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
        self._frames = _check_framing(self.steps)
        self.preprocessing = preprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (C, S, S), the shape of every view."""
        return (3, self.preprocessing.size, self.preprocessing.size)

    @property
    def begins_whole(self) -> bool:
        """Return whether the steps begin from the whole picture, not from the evaluation view."""
        return self._frames

    def __call__(self, image_HWC: ImageArray, generator: Generator) -> Tensor:
        """Return one view of a picture of any size, uint8 of shape (C, S, S)."""
        return self.draw(self.begin(image_HWC), generator)

    def begin(self, image_HWC: ImageArray) -> Tensor:
        """Return what the steps begin from, uint8 (C, H, W): nothing in it is drawn."""
        return as_tensor(image_HWC) if self._frames else self.preprocessing(image_HWC)

    def draw(self, view_CHW: Tensor, generator: Generator) -> Tensor:
        """Return a view drawn of what ``begin`` gave, uint8 of shape (C, S, S)."""
        for step in self.steps:
            view_CHW = step(view_CHW, generator, self.preprocessing)
        return view_CHW if view_CHW.shape == self.shape else squashed(view_CHW, self.preprocessing)


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
