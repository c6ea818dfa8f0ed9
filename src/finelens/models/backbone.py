"""The backbone: a network that turns pictures or clips into features."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from finelens.errors import ModelError
from finelens.models.auxiliary import Tapped

# what networks raise on options or picture sizes that are not theirs
MISFITS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, ArithmeticError,
    RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class InputSpec:
    """The pictures or clips a backbone was trained on.

    Attributes:
        size: Side of the square input, pixels.
        mean: Per channel, of values in [0, 1].
        std: Per channel, above 0.
        interpolation: ``bilinear`` or ``bicubic``.
        crop_fraction: Crop side over resized shorter side, in (0, 1].
        frames: T of a clip network; None: single pictures.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float
    frames: int | None = None


class Backbone(nn.Module):
    """Normalised pictures, or clips where it is a clip network, to features.

    Attributes:
        network: timm's or torchvision's own module, its last layer removed, or a clip network.
        name: As in a recipe.
        options: What its constructor was given beyond the name; plain values.
        input_spec: Its own input.
        num_features: F, the true width of the features.
        classifier_names: State-dict prefixes of the classifiers that are not in ``network``.
        auxiliary: Its auxiliary nets, where they were asked for; whoever trains holds them.
        time_axis: Of a clip network: where it wants T, 1 as in (B, T, C, H, W) or 2.
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
        time_axis: int = 1,
        size: int | None = None,
    ) -> None:
        """Take a network, and see by one pass the width of the features it gives.

        ``size`` is the side of the pictures it will see, pixels; None: its own. The other
        arguments are attributes.

        Raises:
            ModelError: As ``check_size``.
        """
        super().__init__()
        self.network = network
        self.name = name
        self.options = options
        self.input_spec = input_spec
        self.classifier_names = classifier_names
        self.auxiliary = auxiliary
        self.time_axis = time_axis
        self.num_features = self.check_size(size or input_spec.size)

    @property
    def takes_clips(self) -> bool:
        """Return whether it looks at time itself: it takes (B, T, C, H, W), no single pictures."""
        return self.input_spec.frames is not None

    def forward(self, x: Tensor) -> Tensor:
        """Return features, shape (B, F), of pictures (B, C, H, W) or clips (B, T, C, H, W).

        Raises:
            ModelError: If a clip network is given pictures, or another network clips.
        """
        if x.ndim != (5 if self.takes_clips else 4):
            wanted, mend = _WORDS[self.takes_clips]
            raise ModelError(
                f'backbone "{self.name}" takes {wanted}, not shape {tuple(x.shape)}; {mend}'
            )
        return self.network(x.transpose(1, 2) if self.time_axis == 2 else x)

    def check_size(self, size: int) -> int:
        """Return F, the width of the features of pictures of a size, by one forward pass.

        A clip network's pass is one of shapes alone: on numbers it would take seconds.

        Raises:
            ModelError: If the network does not take that size, or gives no single row of
                features a picture.
        """
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            with torch.no_grad():
                features_BF = self._features_of_zeros(size)
        except MISFITS as error:
            kind = "clips" if self.takes_clips else "pictures"
            raise ModelError(
                f'backbone "{self.name}" takes no {kind} of {size} x {size} pixels: '
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

    def features_of_shapes(self, size: int, *, num_examples: int = 1) -> Any:
        """Return what a forward pass of shapes alone gives, on the meta device.

        Args:
            size: Side of the pictures, pixels.
            num_examples: Pictures, or clips of a clip network.
        """
        named = chain(self.named_parameters(), self.named_buffers())
        state = {name: tensor.detach().to("meta") for name, tensor in named}
        dtype = next((tensor.dtype for tensor in state.values()), None)
        of_clip = () if self.input_spec.frames is None else (self.input_spec.frames,)
        x = torch.empty(num_examples, *of_clip, 3, size, size, dtype=dtype, device="meta")
        return functional_call(self, state, (x,))

    def _features_of_zeros(self, size: int) -> Any:
        if self.takes_clips:
            return self.features_of_shapes(size)
        device = next((parameter.device for parameter in self.parameters()), None)
        return self(torch.zeros(1, 3, size, size, device=device))

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


_WORDS = {
    True: ("clips (B, T, C, H, W)", "set input.frames"),
    False: ("pictures (B, C, H, W)", "give each frame of a clip as a picture"),
}


def one_line(error: Exception) -> str:
    """Return what a library said, at most 200 characters, or the error's name."""
    return " ".join(str(error).split())[:200] or type(error).__name__
