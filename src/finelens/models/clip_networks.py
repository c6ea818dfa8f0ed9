"""Clip networks: those of finelens' own, by the names that recipes use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from finelens.errors import ModelError
from finelens.models.backbone import InputSpec
from finelens.models.c3d import C3D
from finelens.models.cnn_lstm import CnnLstm
from finelens.models.vgg9 import VGG9

_FRAMES = 30
_SIZE = 64


def clip_options(
    options: Mapping[str, Any], *, size: int | None, frames: int | None
) -> dict[str, Any]:
    """Return a clip network's options with the length and size of the clips it is built for.

    Where neither the options nor the arguments say them: 30 frames of 64 x 64 pixels.

    Raises:
        ModelError: If the options and the arguments differ.
    """
    complete = dict(options)
    for name, value, own in (("frames", frames, _FRAMES), ("size", size, _SIZE)):
        if complete.setdefault(name, value or own) != (value or complete[name]):
            raise ModelError(
                f"model.options: {name} is {complete[name]} and input.{name} is {value}; "
                "leave it out of model.options"
            )
    return complete


def clip_input(options: Mapping[str, Any]) -> InputSpec:
    """Return what a clip network built with complete options takes.

    Trained from random weights, it has no statistics of its own: its pictures are brought to
    about mean 0 and deviation 1, the whole frame in view.
    """
    return InputSpec(
        size=options["size"],
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        interpolation="bilinear",
        crop_fraction=1.0,
        frames=options["frames"],
    )


CLIP_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "clip:c3d": C3D,
    "clip:cnn-lstm": CnnLstm,
    "clip:vgg9": VGG9,
}
