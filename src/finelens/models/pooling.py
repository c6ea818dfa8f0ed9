"""Temporal pooling: the features of a clip's frames to those of the clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from finelens.errors import ModelError, did_you_mean


class Pooling(nn.Module):
    """Features of T frames to features of their clip.

    Attributes:
        body: From (B, T, F) to (B, P).
        num_features: P.
        settings: What ``create_pooling`` needs to build it again: ``kind`` and that kind's own.
    """

    def __init__(self, body: nn.Module, num_features: int, settings: dict[str, Any]) -> None:
        super().__init__()
        self.body = body
        self.num_features = num_features
        self.settings = settings

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return the clips' features, shape (B, P).

        Raises:
            ModelError: If it was built for another number of frames.
        """
        frames = self.frames
        if frames is not None and features_BTF.shape[1] != frames:
            raise ModelError(
                f"model.pooling: {self.settings['kind']} was built for clips of {frames} frames "
                f"and was given {features_BTF.shape[1]}; set input.frames to {frames}"
            )
        return self.body(features_BTF)

    @property
    def frames(self) -> int | None:
        """Return T where only clips of that length fit, else None."""
        return self.settings.get("frames")


class Mean(nn.Module):
    """The mean over frames; their order does not matter."""

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return shape (B, F)."""
        return features_BTF.mean(dim=1)


class Max(nn.Module):
    """The largest value over frames; their order does not matter."""

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return shape (B, F)."""
        return features_BTF.amax(dim=1)


class Recurrent(nn.Module):
    """The mean over time of an LSTM's outputs.

    The mean and not the last output: each frame then has a short way to the loss.
    """

    def __init__(self, num_features: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(num_features, hidden, batch_first=True)

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return shape (B, hidden)."""
        return self.lstm(features_BTF)[0].mean(dim=1)


class Attention(nn.Module):
    """A mean over frames whose weights are learned; their order does not matter.

    Of frame t the weight is softmax over t of w . tanh(V h_t): Ilse, Tomczak and Welling 2018,
    "Attention-based Deep Multiple Instance Learning", equations 7 and 8, V with a bias.
    """

    def __init__(self, num_features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_features, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return shape (B, F)."""
        weights_BT1 = self.score(torch.tanh(self.hidden(features_BTF))).softmax(dim=1)
        return (weights_BT1 * features_BTF).sum(dim=1)


def mean_pooling(num_features: int) -> Pooling:
    """Return the mean: P = F, no weights, clips of any length."""
    return Pooling(Mean(), num_features, {"kind": "mean"})


def max_pooling(num_features: int) -> Pooling:
    """Return the maximum: P = F, no weights, clips of any length."""
    return Pooling(Max(), num_features, {"kind": "max"})


def linear_pooling(num_features: int, *, frames: int) -> Pooling:
    """Return the frames side by side: P = T F, no weights of its own.

    The head's first linear layer maps them, with T F weights a unit; a layer from T F to F
    before it would hold T F F, fifty million for thirty frames of 1280 features, and a linear
    head behind it could say nothing more.
    """
    settings = {"kind": "linear", "frames": frames}
    return Pooling(nn.Flatten(), frames * num_features, settings)


def lstm_pooling(num_features: int, *, hidden: int = 128) -> Pooling:
    """Return an LSTM's mean output: P = hidden, clips of any length."""
    return Pooling(Recurrent(num_features, hidden), hidden, {"kind": "lstm", "hidden": hidden})


def attention_pooling(num_features: int, *, hidden: int = 128) -> Pooling:
    """Return a weighted mean: P = F, clips of any length; hidden is the height of V."""
    settings = {"kind": "attention", "hidden": hidden}
    return Pooling(Attention(num_features, hidden), num_features, settings)


def create_pooling(kind: str, num_features: int, **settings: Any) -> Pooling:
    """Return a pooling of a named kind, of frames of F features.

    Raises:
        ModelError: If the kind is unknown.
        TypeError: If a setting is none of this kind's, or one is missing.
    """
    if kind not in POOLINGS:
        raise ModelError(f'model.pooling: "{kind}" is unknown{did_you_mean(kind, POOLINGS)}')
    return POOLINGS[kind](num_features, **settings)


POOLINGS: dict[str, Callable[..., Pooling]] = {
    "mean": mean_pooling,
    "max": max_pooling,
    "linear": linear_pooling,
    "lstm": lstm_pooling,
    "attention": attention_pooling,
}
