"""Auxiliary classifiers: small nets that judge a backbone's middle layers while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

TAPS = {"AuxLogits": "Mixed_6e", "aux1": "inception4a", "aux2": "inception4d"}
"""timm's and torchvision's names of auxiliary nets -> the layer each of them looks at."""


@dataclass(frozen=True)
class Tapped:
    """An auxiliary net as it was taken out of a network, its last linear layer removed.

    Attributes:
        name: What the network calls it.
        layer: Path of the layer whose output it takes.
        body: From that output to features (B, F).
        num_features: F.
    """

    name: str
    layer: str
    body: nn.Module
    num_features: int


class AuxiliaryClassifier(nn.Module):
    """A middle layer's output to logits, by a body and a linear layer of its own.

    Attributes:
        name: What the network it came from calls it.
        layer: Path of the layer it looks at.
        body: From that layer's output to features.
        output: The linear layer: K rows, one a class.
    """

    def __init__(self, tapped: Tapped, num_classes: int) -> None:
        super().__init__()
        self.name = tapped.name
        self.layer = tapped.layer
        self.body = tapped.body
        self.output = nn.Linear(tapped.num_features, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return logits, shape (B, K), of its layer's output."""
        return self.output(self.body(x_BCHW))


def take_auxiliary(network: Any) -> list[Tapped]:
    """Take the auxiliary nets out of a module that has them, nearest to the input first.

    The module then gives its features alone, in training too.
    """
    found: list[Tapped] = []
    for name, layer in TAPS.items():
        body = getattr(network, name, None)
        if isinstance(body, nn.Module):
            setattr(network, name, None)
            found.append(Tapped(name, layer, body, _remove_last_linear(body)))
    if hasattr(network, "aux_logits"):
        network.aux_logits = False
    return found


@contextmanager
def outputs_of(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of some layers in every forward pass while it lasts."""
    outputs: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _inputs: Any, output: Tensor, *, layer: str) -> None:
        outputs[layer] = output

    hooks = [
        network.get_submodule(layer).register_forward_hook(partial(keep, layer=layer))
        for layer in layers
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _remove_last_linear(body: nn.Module) -> int:
    """Replace the layer that gives ImageNet's classes by nothing; return what it took."""
    path, last = [
        (path, layer) for path, layer in body.named_modules() if isinstance(layer, nn.Linear)
    ][-1]
    parent, _, name = path.rpartition(".")
    setattr(body.get_submodule(parent), name, nn.Identity())
    return last.in_features
