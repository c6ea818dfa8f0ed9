"""C3D: convolutions over time and space together."""

from __future__ import annotations

from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.convolution import convolution_block, dense_block
from finelens.models.initialisation import initialise

_MULTIPLES = (1, 2, 4, 4, 8, 8)
"""Channels of the six convolutions, as multiples of the first one's (Tran et al. 2015)."""

_POOLS = ((1, 2, 2), (2, 2, 2), None, (2, 2, 2), None, (2, 2, 2))


class C3D(nn.Module):
    """Clips to features: six 3x3x3 convolutions, four max-pools, two dense layers.

    Pools follow the first, second, fourth and sixth convolution, their stride equal to their
    size: the first (1, 2, 2), so that time is not merged too early, the others (2, 2, 2). An
    odd length loses its last frame. After Tran et al. 2015, "Learning Spatiotemporal Features
    with 3D Convolutional Networks", two convolutions and a pool shorter.

    Attributes:
        convolutions: From (B, 3, T, S, S) to (B, 8 width, T // 8, S // 16, S // 16).
        dense: From those, flattened, to (B, dense).
    """

    def __init__(
        self,
        *,
        frames: int,
        size: int,
        width: int = 64,
        dense: int = 1024,
        batch_norm: bool = False,
        dropout: float = 0.0,
        init: str = "default",
    ) -> None:
        """Build it for clips of one length and size.

        Args:
            frames: T, 8 or more.
            size: S, side of the square frames in pixels, 16 or more.
            width: Channels of the first convolution; the others have 2, 4, 4, 8 and 8 times it.
            dense: Units of each dense layer.
            batch_norm: Whether a batch norm follows each convolution.
            dropout: After each dense layer.
            init: ``default`` or ``normal-0.1``.

        Raises:
            ModelError: If the clip is too short or small for four pools, or init is unknown.
        """
        super().__init__()
        if frames < 8 or size < 16:
            raise ModelError(
                f"C3D needs 8 frames of 16 x 16 pixels or more, not {frames} of {size} x {size}; "
                "set input.frames and input.size"
            )
        channels = [3, *(width * multiple for multiple in _MULTIPLES)]
        self.convolutions = nn.Sequential(*(
            convolution_block(
                nn.Conv3d, channels[n], channels[n + 1], kernel=3, padding=1,
                pool=None if pool is None else nn.MaxPool3d(pool), batch_norm=batch_norm,
            )
            for n, pool in enumerate(_POOLS)
        ))  # fmt: skip
        num_flat = channels[-1] * (frames // 8) * (size // 16) ** 2
        self.dense = nn.Sequential(
            dense_block(num_flat, dense, dropout=dropout),
            dense_block(dense, dense, dropout=dropout),
        )
        initialise(self, init)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return features, shape (B, dense)."""
        return self.dense(self.convolutions(x_BTCHW.transpose(1, 2)).flatten(1))
