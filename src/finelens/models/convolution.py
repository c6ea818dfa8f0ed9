"""The convolution block of the clip networks."""

from __future__ import annotations

from torch import nn

_NORMS = {nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}


def convolution_block(
    kind: type[nn.Conv2d] | type[nn.Conv3d],
    num_inputs: int,
    num_outputs: int,
    *,
    kernel: int,
    padding: int,
    pool: nn.Module | None,
    batch_norm: bool,
) -> nn.Sequential:
    """Return convolution of stride 1, batch norm where asked for, ReLU, pool where given.

    A batch norm's shift takes the place of the convolution's bias.
    """
    convolution = kind(num_inputs, num_outputs, kernel, padding=padding, bias=not batch_norm)
    norms = [_NORMS[kind](num_outputs)] if batch_norm else []
    pools = [] if pool is None else [pool]
    return nn.Sequential(convolution, *norms, nn.ReLU(inplace=True), *pools)


def dense_block(num_inputs: int, num_outputs: int, *, dropout: float) -> nn.Sequential:
    """Return a linear layer, ReLU and dropout."""
    return nn.Sequential(nn.Linear(num_inputs, num_outputs), nn.ReLU(), nn.Dropout(dropout))
