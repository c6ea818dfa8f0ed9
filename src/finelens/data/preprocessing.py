"""Preprocessing: how any picture becomes the model's input, saved with the model."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from finelens.data.box import Box
from finelens.data.images import REDUCING_GAP, ImageArray
from finelens.data.one_thread import one_thread
from finelens.errors import ConfigError, did_you_mean

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """The one way a picture enters the model in train, evaluate, predict, export and serve.

    Attributes:
        size: S, side of the square input in pixels.
        mean: Per channel, of values in [0, 1].
        std: Per channel, above 0.
        resize: ``shorter`` sees the central square, ``squash`` the whole picture distorted,
            ``pad`` the whole picture on a square of the mean colour.
        crop_fraction: Of ``shorter``: the central square's side over the shorter side, in (0, 1].
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``, of every resize.
        frames: T, pictures a clip; None for single pictures.
        stride: Every so many frames of a clip; None: evenly spread over it.
        start: Frames of a clip that are left out at its beginning.
        reducing_gap: See ``least_side``; 1 or more. None: every picture is decoded at full size.

    Raises:
        ConfigError: If a value is out of its range.
    """

    size: int
    mean: Triple
    std: Triple
    resize: str = "shorter"
    crop_fraction: float = 0.875
    interpolation: str = "bilinear"
    frames: int | None = None
    stride: int | None = None
    start: int = 0
    reducing_gap: float | None = REDUCING_GAP

    def __post_init__(self) -> None:
        for name, choices in (("resize", RESIZES), ("interpolation", INTERPOLATIONS)):
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f'{name}: "{value}" is unknown{did_you_mean(value, choices)}')
        if self.size < 1 or (self.frames is not None and self.frames < 1):
            raise ConfigError(f"size: {self.size} and frames: {self.frames} must be 1 or more")
        if self.stride is not None and (self.stride < 1 or self.frames is None):
            raise ConfigError(f"stride: {self.stride} must be 1 or more, and needs frames")
        if self.start < 0 or (self.start and self.frames is None):
            raise ConfigError(f"start: {self.start} must be 0 or more, and needs frames")
        if not 0 < self.crop_fraction <= 1:
            raise ConfigError(f"crop_fraction: {self.crop_fraction} must be in (0, 1]")
        if self.reducing_gap is not None and not 1 <= self.reducing_gap < math.inf:
            raise ConfigError(f"reducing_gap: {self.reducing_gap} must be 1 or more, or null")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"mean: {self.mean} and std: {self.std} must be three numbers each, std above 0"
            )

    def __call__(self, image_HWC: ImageArray) -> Tensor:
        """Return the evaluation view of a picture of any size, uint8 of shape (C, S, S).

        The frames of a clip, (T, H, W, 3), give (T, C, S, S), each as it would alone.

        ``shorter`` agrees with torchvision's resize and centre crop up to half a pixel of the
        picture, but crops first: a long thin picture costs no more than a square one.
        """
        return RESIZES[self.resize](as_tensor(image_HWC), self)

    @property
    def least_side(self) -> int | None:
        """Return the shorter side, pixels, that a picture is decoded at for the evaluation view.

        ``decode_image`` has it so. Where no JPEG may be decoded at a part of its size, it is None.
        """
        seen = self.crop_fraction if self.resize == "shorter" else 1.0
        return self.least_side_for(self.size / seen)

    def least_side_for(self, side: float) -> int | None:
        """Return the shorter side that a picture needs before a resize to another, pixels.

        It is ``reducing_gap`` times that side: averaging over what is left hides how the picture
        was made smaller before. It is None where nothing is averaged (``nearest``), and of clips,
        whose frames have the size of their video.
        """
        is_averaged = self.interpolation != "nearest"
        if self.reducing_gap is None or self.frames is not None or not is_averaged:
            return None
        return math.ceil(self.reducing_gap * side)

    def box(self, height: int, width: int) -> Box:
        """Return the part of a picture that its evaluation view shows, in the picture's pixels.

        Of ``pad`` it reaches beyond the picture.
        """
        return BOXES[self.resize](height, width, self)

    def normalise(self, images: Tensor) -> Tensor:
        """Return (x / 255 - mean) / std of uint8 pictures, float32 on their device.

        Takes shapes that end in (C, H, W), such as (B, C, S, S) or (B, T, C, S, S), and keeps
        the memory format.
        """
        # a thread woken to help would spin for milliseconds after it, and take the time of a
        # reader of pictures
        with one_thread() if images.device.type == "cpu" else nullcontext():
            return self._normalised(images)

    def _normalised(self, images: Tensor) -> Tensor:
        shift, scale = _constants(self.mean, self.std, images.device)
        if images.stride(-3) != 1:
            return (images - shift.view(3, 1, 1)).mul_(scale.view(3, 1, 1))
        # channels last: whole rows at a time, six times as fast as three numbers at a time
        width = images.shape[-1]
        rows = images.movedim(-3, -1).flatten(-2).float()
        rows = rows.sub_(shift.repeat(width)).mul_(scale.repeat(width))
        return rows.unflatten(-1, (width, 3)).movedim(-1, -3)

    def resample(self, picture_CHW: Tensor, height: int, width: int) -> Tensor:
        """Return a uint8 picture at another size, antialiased, shape (C, height, width).

        Frames (T, C, H, W) too.
        """
        # torch's uint8 kernel is faster on whole (H, W, C) memory than on a part of it
        picture_HWC = picture_CHW.movedim(-3, -1).contiguous()
        if self.interpolation != "bilinear" or not _has_bytes_kernel():
            mode = INTERPOLATIONS[self.interpolation]
            picture_CHW = picture_HWC.movedim(-1, -3)
            return functional.resize(
                picture_CHW, [height, width], interpolation=mode, antialias=True
            )
        if picture_CHW.shape[-2:] == (height, width):
            return picture_HWC.movedim(-1, -3)
        # what torchvision comes to, without its questions: they take as long as the kernel. One
        # picture's own stride is that of a batch, or the result would not be channels last
        pictures_BHWC = picture_HWC if picture_HWC.ndim == 4 else picture_HWC[None]
        pictures_BCHW = interpolate(
            pictures_BHWC.movedim(-1, -3), (height, width), mode="bilinear", antialias=True
        )
        return pictures_BCHW if picture_HWC.ndim == 4 else pictures_BCHW[0]

    @property
    def fill(self) -> list[float]:
        """Return the mean colour, 0 to 255: what lies where there is no picture."""
        return [float(round(255 * channel)) for channel in self.mean]

    def resized(self, size: int) -> Preprocessing:
        """Return the same preprocessing for another input size."""
        return dataclasses.replace(self, size=size)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``from_json`` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the preprocessing of ``to_json``'s values.

        Those without ``reducing_gap`` are older than it, from models that saw every picture
        decoded at full size: there it is None.

        Raises:
            ConfigError: If a key is missing or unknown, or a value does not fit.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise ConfigError(f'preprocessing: "{name}" is unknown{did_you_mean(name, names)}')
        try:
            triples = {name: tuple(map(float, values[name])) for name in ("mean", "std")}
            return cls(**{"reducing_gap": None, **values, **triples})
        except KeyError as error:
            raise ConfigError(f"preprocessing: {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"preprocessing: a value does not fit: {error}") from error


@functools.cache
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return 255 times the mean, and 1 / (255 * std), on a device: to bring them there waits."""
    with torch.inference_mode(False):
        shift, scale = (torch.tensor(values, device=device).mul_(255) for values in (mean, std))
        return shift, scale.reciprocal_()


@functools.cache
def _has_bytes_kernel() -> bool:
    """Return whether torchvision has torch resize bytes as they are on this processor."""
    return torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}


def as_tensor(image_HWC: ImageArray) -> Tensor:
    """Return a picture as a (C, H, W) uint8 tensor that shares its memory; frames likewise."""
    return torch.from_numpy(image_HWC).movedim(-1, -3)


def central_square(picture_CHW: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the middle of a picture, ``crop_fraction`` of its shorter side wide."""
    height, width = picture_CHW.shape[-2:]
    top, left, side = _middle(height, width, preprocessing.crop_fraction)
    square_CHW = picture_CHW[..., top : top + side, left : left + side]
    return preprocessing.resample(square_CHW, preprocessing.size, preprocessing.size)


def squashed(picture_CHW: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the whole picture, its sides scaled apart to a square."""
    return preprocessing.resample(picture_CHW, preprocessing.size, preprocessing.size)


def padded(picture_CHW: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the whole picture in the middle of a square of the mean colour."""
    size = preprocessing.size
    top, left, height, width = _fitted(picture_CHW.shape[-2], picture_CHW.shape[-1], size)
    fill = torch.tensor(preprocessing.fill, dtype=torch.uint8)
    square_CHW = fill.repeat(*picture_CHW.shape[:-3], size, size, 1).movedim(-1, -3)
    small_CHW = preprocessing.resample(picture_CHW, height, width)
    square_CHW[..., top : top + height, left : left + width] = small_CHW
    return square_CHW


def central_box(height: int, width: int, preprocessing: Preprocessing) -> Box:
    """Return what ``central_square`` shows of a picture."""
    top, left, side = _middle(height, width, preprocessing.crop_fraction)
    return Box(left, top, left + side, top + side)


def whole_box(height: int, width: int, preprocessing: Preprocessing) -> Box:
    """Return what ``squashed`` shows of a picture: all of it."""
    del preprocessing
    return Box(0, 0, width, height)


def padded_box(height: int, width: int, preprocessing: Preprocessing) -> Box:
    """Return what ``padded`` shows of a picture: all of it, and what lies around it."""
    size = preprocessing.size
    top, left, fitted_height, fitted_width = _fitted(height, width, size)
    x_scale, y_scale = width / fitted_width, height / fitted_height
    return Box(-left * x_scale, -top * y_scale, (size - left) * x_scale, (size - top) * y_scale)


def _middle(height: int, width: int, fraction: float) -> tuple[int, int, int]:
    """Return top, left and side of a picture's central square, pixels of the picture."""
    side = max(1, round(min(height, width) * fraction))
    return (height - side) // 2, (width - side) // 2, side


def _fitted(height: int, width: int, size: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a picture fitted into a square, pixels of it."""
    scale = size / max(height, width)
    height, width = (max(1, round(side * scale)) for side in (height, width))
    return (size - height) // 2, (size - width) // 2, height, width


INTERPOLATIONS = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST_EXACT,
}
RESIZES = {"shorter": central_square, "squash": squashed, "pad": padded}
BOXES = {"shorter": central_box, "squash": whole_box, "pad": padded_box}
