"""Heads: the layers between a backbone's features and the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from finelens.errors import ModelError, did_you_mean


class Head(nn.Module):
    """A body, then the linear layer that gives the logits.

    Attributes:
        body: From (B, F) to what ``output`` takes.
        output: The last linear layer: K rows, one a class.
        settings: What ``create_head`` needs to build it again.
    """

    def __init__(self, body: nn.Module, output: nn.Linear, settings: dict[str, Any]) -> None:
        super().__init__()
        self.body = body
        self.output = output
        self.settings = settings

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits, shape (B, K)."""
        return self.output(self.body(features_BF))


def linear(num_features: int, num_classes: int, *, dropout: float = 0.0) -> Head:
    """Return a single linear layer, behind dropout."""
    settings = {"kind": "linear", "dropout": dropout}
    return Head(nn.Dropout(dropout), nn.Linear(num_features, num_classes), settings)


def mlp(
    num_features: int,
    num_classes: int,
    *,
    hidden: int = 256,
    activation: str = "relu",
    dropout: float = 0.0,
) -> Head:
    """Return linear, activation, dropout, linear.

    Args:
        num_features: F.
        num_classes: K.
        hidden: Units between the two linear layers.
        activation: ``relu``, or ``mish`` (Misra, 2019).
        dropout: Before the last linear layer.

    Raises:
        ModelError: If the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        near = did_you_mean(activation, ACTIVATIONS)
        raise ModelError(f'model.head.activation: "{activation}" is unknown{near}')
    body = nn.Sequential(
        nn.Linear(num_features, hidden), ACTIVATIONS[activation](), nn.Dropout(dropout)
    )
    settings = {"kind": "mlp", "hidden": hidden, "activation": activation, "dropout": dropout}
    return Head(body, nn.Linear(hidden, num_classes), settings)


def create_head(kind: str, num_features: int, num_classes: int, **settings: Any) -> Head:
    """Return a head of a named kind.

    Raises:
        ModelError: If the kind is unknown.
        TypeError: If a setting is none of this kind's.
    """
    if kind not in HEADS:
        raise ModelError(f'model.head.kind: "{kind}" is unknown{did_you_mean(kind, HEADS)}')
    return HEADS[kind](num_features, num_classes, **settings)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "mish": nn.Mish}
HEADS: dict[str, Callable[..., Head]] = {"linear": linear, "mlp": mlp}
