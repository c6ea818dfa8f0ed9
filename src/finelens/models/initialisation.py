"""Initialisation: the first weights of the clip networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from finelens.errors import ModelError, did_you_mean

_LAYERS = (nn.Conv2d, nn.Conv3d, nn.Linear, nn.LSTM)


def initialise(network: nn.Module, kind: str) -> None:
    """Draw the weights of every convolution, linear layer and LSTM of a network anew.

    Norms keep a scale of 1 and a shift of 0. The kinds:

    ``default``: N(0, 2 / inputs) for layers before a ReLU, so that the scale of the activations
    is the same at every depth (He et al. 2015); for an LSTM, Glorot's uniform weights of the
    input, orthogonal ones of the state, a forget gate that starts open (bias 1); other biases 0.

    ``normal-0.1``: N(0, 0.1 ** 2) for every weight whatever its number of inputs, biases 0. The
    scale then grows or shrinks with each layer.

    Raises:
        ModelError: If the kind is unknown.
    """
    if kind not in INITIALISATIONS:
        near = did_you_mean(kind, INITIALISATIONS)
        raise ModelError(f'model.options: init "{kind}" is unknown{near}')
    for layer in network.modules():
        if isinstance(layer, _LAYERS):
            INITIALISATIONS[kind](layer)


def keep_scale(layer: nn.Module) -> None:
    """Set one layer's weights as ``default`` says."""
    if isinstance(layer, nn.LSTM):
        _keep_scale_of_lstm(layer)
        return
    for name, parameter in layer.named_parameters():
        if name == "weight":
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)


def normal(layer: nn.Module) -> None:
    """Set one layer's weights as ``normal-0.1`` says."""
    for name, parameter in layer.named_parameters():
        if name.startswith("weight"):
            nn.init.normal_(parameter, std=0.1)
        else:
            nn.init.zeros_(parameter)


def _keep_scale_of_lstm(layer: nn.LSTM) -> None:
    for name, parameter in layer.named_parameters():
        # torch stacks the four gates: input, forget, cell, output
        gates = parameter.detach().chunk(4)
        for gate in gates:
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(gate)
        if name.startswith("bias_ih"):
            with torch.no_grad():
                gates[1].fill_(1.0)


INITIALISATIONS: dict[str, Callable[[nn.Module], None]] = {
    "default": keep_scale,
    "normal-0.1": normal,
}
