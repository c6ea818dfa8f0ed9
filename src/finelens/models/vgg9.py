"""VGG9: a picture network for each frame, its outputs side by side."""

from __future__ import annotations

from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.convolution import convolution_block, dense_block
from finelens.models.initialisation import initialise

_MULTIPLES = (1, 2, 4, 4, 8, 8)
"""Channels of the six convolutions, as multiples of the first one's."""

_IS_POOLED = (True, True, False, True, False, True)


class VGG9(nn.Module):
    """Clips to features: nine weight layers a frame, the frames' outputs flattened.

    Six 3x3 convolutions of stride 1, two dense layers and one that gives a frame's outputs: VGG's
    configuration A (Simonyan and Zisserman 2015) without its last two convolutions. Channels
    double after each of the four 2x2 max-pools. Nothing follows a frame's outputs: with a
    linear head behind them they are mapped linearly to the classes.

    Attributes:
        convolutions: From (B T, 3, S, S) to (B T, 8 width, S // 16, S // 16).
        dense: From those, flattened, to (B T, outputs).
        average: Whether the frames' outputs are averaged.
    """

    def __init__(
        self,
        *,
        frames: int,
        size: int,
        width: int = 64,
        dense: int = 2048,
        outputs: int = 500,
        average: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.0,
        init: str = "default",
    ) -> None:
        """Build it for clips of one length and size.

        Args:
            frames: T, 1 or more.
            size: S, side of the square frames in pixels, 16 or more.
            width: Channels before the first pool.
            dense: Units of each of the two dense layers.
            outputs: Of a frame.
            average: Whether frames are averaged, features (B, outputs), instead of flattened,
                features (B, T outputs).
            batch_norm: Whether a batch norm follows each convolution.
            dropout: After each of the two dense layers.
            init: ``default`` or ``normal-0.1``.

        Raises:
            ModelError: If the frames are too small for four pools, or init is unknown.
        """
        super().__init__()
        if frames < 1 or size < 16:
            raise ModelError(
                f"VGG9 needs 1 frame of 16 x 16 pixels or more, not {frames} of {size} x {size}; "
                "set input.frames and input.size"
            )
        self.average = average
        channels = [3, *(width * multiple for multiple in _MULTIPLES)]
        self.convolutions = nn.Sequential(*(
            convolution_block(
                nn.Conv2d, channels[n], channels[n + 1], kernel=3, padding=1,
                pool=nn.MaxPool2d(2) if is_pooled else None, batch_norm=batch_norm,
            )
            for n, is_pooled in enumerate(_IS_POOLED)
        ))  # fmt: skip
        self.dense = nn.Sequential(
            dense_block(channels[-1] * (size // 16) ** 2, dense, dropout=dropout),
            dense_block(dense, dense, dropout=dropout),
            nn.Linear(dense, outputs),
        )
        initialise(self, init)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return features, shape (B, T outputs), or (B, outputs) of averaged frames."""
        maps = self.convolutions(x_BTCHW.flatten(0, 1))
        outputs_BTF = self.dense(maps.flatten(1)).unflatten(0, x_BTCHW.shape[:2])
        return outputs_BTF.mean(dim=1) if self.average else outputs_BTF.flatten(1)
