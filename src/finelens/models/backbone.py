"""The backbone: a network that turns pictures into features."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.auxiliary import Tapped

# what networks raise on options or picture sizes that are not theirs
MISFITS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, ArithmeticError,
    RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class InputSpec:
    """The pictures a backbone was trained on.

    Attributes:
        size: Side of the square input, pixels.
        mean: Per channel, of values in [0, 1].
        std: Per channel, above 0.
        interpolation: ``bilinear`` or ``bicubic``.
        crop_fraction: Crop side over resized shorter side, in (0, 1].
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float


class Backbone(nn.Module):
    """Normalised pictures to features.

    Attributes:
        network: timm's or torchvision's own module, its last layer removed.
        name: As in a recipe.
        options: What its constructor was given beyond the name; plain values.
        input_spec: Its own input.
        num_features: F, the true width of the features.
        classifier_names: State-dict prefixes of the classifiers that are not in ``network``.
        auxiliary: Its auxiliary nets, where they were asked for; whoever trains holds them.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        options: dict[str, Any],
        input_spec: InputSpec,
        classifier_names: tuple[str, ...],
        auxiliary: tuple[Tapped, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.options = options
        self.input_spec = input_spec
        self.classifier_names = classifier_names
        self.auxiliary = auxiliary
        self.num_features = self.check_size(input_spec.size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features, shape (B, F)."""
        return self.network(x_BCHW)

    def check_size(self, size: int) -> int:
        """Return F, the width of the features of pictures of a size, by one forward pass.

        Raises:
            ModelError: If the network does not take that size, or gives no single row of
                features a picture.
        """
        modes = {module: module.training for module in self.modules()}
        device = next((parameter.device for parameter in self.parameters()), None)
        self.eval()
        try:
            with torch.no_grad():
                features_BF = self(torch.zeros(1, 3, size, size, device=device))
        except MISFITS as error:
            raise ModelError(
                f'backbone "{self.name}" takes no pictures of {size} x {size} pixels: '
                f"{one_line(error)}; its own input.size is {self.input_spec.size}"
            ) from error
        finally:
            for module, mode in modes.items():
                module.training = mode
        if not isinstance(features_BF, Tensor) or features_BF.ndim != 2:
            raise ModelError(
                f'backbone "{self.name}" is no classification network: '
                "it does not give one row of features a picture; choose another"
            )
        return features_BF.shape[1]

    def convert(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return another project's or input size's weights under this network's keys.

        timm's own conversion for the architecture, which also resamples position embeddings;
        unchanged where it has none or does not know the keys.
        """
        module = sys.modules[type(self.network).__module__]
        convert = getattr(module, "checkpoint_filter_fn", None)
        try:
            return dict(convert(dict(weights), self.network)) if convert else dict(weights)
        except MISFITS:
            return dict(weights)


def one_line(error: Exception) -> str:
    """Return what a library said, at most 200 characters, or the error's name."""
    return " ".join(str(error).split())[:200] or type(error).__name__
