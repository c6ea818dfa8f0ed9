"""CNN and LSTM: a small picture network for each frame, then a recurrent one over time."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.convolution import convolution_block
from finelens.models.initialisation import initialise

_KERNELS = (2, 3, 5)


class CnnLstm(nn.Module):
    """Clips to features: three convolutions a frame, an LSTM over the frames.

    Convolutions 2x2, 3x3 and 5x5 of stride 1 without padding, ReLU, each followed by a 2x2
    max-pool; 64 pixels become 5. The LSTM's outputs of all frames are flattened.

    Attributes:
        convolutions: From (B T, 3, S, S) to (B T, C, S', S').
        dropout: Of the frames' flattened maps.
        lstm: From (B, T, C S' S') to (B, T, hidden).
    """

    def __init__(
        self,
        *,
        frames: int,
        size: int,
        channels: Sequence[int] = (8, 16, 32),
        hidden: int = 128,
        batch_norm: bool = False,
        dropout: float = 0.0,
        init: str = "default",
    ) -> None:
        """Build it for clips of one length and size.

        Args:
            frames: T, 1 or more.
            size: S, side of the square frames in pixels, 29 or more.
            channels: Of the three convolutions.
            hidden: Units of the LSTM.
            batch_norm: Whether a batch norm follows each convolution.
            dropout: Between the convolutions and the LSTM.
            init: ``default`` or ``normal-0.1``.

        Raises:
            ModelError: If the frames are too small, there are not three channels, or init is
                unknown.
        """
        super().__init__()
        side = size
        for kernel in _KERNELS:
            side = (side - kernel + 1) // 2
        if frames < 1 or side < 1:
            raise ModelError(
                f"CNN + LSTM needs 1 frame of 29 x 29 pixels or more, not {frames} of "
                f"{size} x {size}; set input.frames and input.size"
            )
        if len(channels) != len(_KERNELS):
            raise ModelError(
                f"model.options: channels must be three numbers such as [8, 16, 32], "
                f"not {list(channels)}"
            )
        inputs = (3, *channels)
        self.convolutions = nn.Sequential(*(
            convolution_block(
                nn.Conv2d, inputs[n], channels[n], kernel=kernel, padding=0,
                pool=nn.MaxPool2d(2), batch_norm=batch_norm,
            )
            for n, kernel in enumerate(_KERNELS)
        ))  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(channels[-1] * side**2, hidden, batch_first=True)
        initialise(self, init)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return features, shape (B, T hidden)."""
        maps = self.convolutions(x_BTCHW.flatten(0, 1))
        frames_BTF = self.dropout(maps.flatten(1)).unflatten(0, x_BTCHW.shape[:2])
        return self.lstm(frames_BTF)[0].flatten(1)
