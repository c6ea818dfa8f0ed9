"""The average of a classifier's weights over its updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from finelens.errors import RunError


class WeightAverage:
    """An average of a classifier's parameters and floating buffers over updates, in float32.

    With a decay it is an exponential moving average that begins at the weights it is built
    with; without one every update counts the same, and only updates count (the stochastic
    weight averaging of Izmailov et al. 2018). Buffers that count (a batch norm's
    ``num_batches_tracked``) are not averaged. The classifier's tensors may change, but are to stay
    the same objects. All state is explicit: the decay, the number of updates and the averages.

    Attributes:
        decay: The share of the average that an update keeps, in (0, 1); None: equal shares.
        num_updates: How many updates it has seen.
    """

    def __init__(self, classifier: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.restart(classifier)

    def restart(self, classifier: nn.Module) -> None:
        """Forget all updates and begin at the classifier's weights."""
        self.num_updates = 0
        self._classifier = classifier
        # a walk through all modules takes milliseconds
        self._followed = list(_weights(classifier))
        self._averages = {
            name: tensor.detach().to(torch.float32, copy=True) for name, tensor in self._followed
        }

    @property
    def current_decay(self) -> float:
        """Return the decay of the last update: ``min(decay, (1 + n) / (10 + n))``.

        Lower at first, so that the start is soon forgotten (as in TensorFlow's
        ``ExponentialMovingAverage`` with ``num_updates``). With equal shares: ``1 - 1 / n``.
        """
        if self.decay is None:
            return 1.0 - 1.0 / max(self.num_updates, 1)
        return min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the classifier's weights; call once a weight update."""
        self.num_updates += 1
        averages = [self._averages[name] for name, _ in self._followed]
        # one kernel of a GPU for many tensors; the decay of this update makes it any average
        lerp = get_ema_multi_avg_fn(self.current_decay)
        lerp(averages, [tensor.float() for _, tensor in self._followed], self.num_updates)

    def matches(self, prefix: str) -> bool:
        """Return whether the averages of the weights whose names begin so equal the weights."""
        return all(
            torch.equal(self._averages[name], tensor.float())
            for name, tensor in _weights(self._classifier)
            if name.startswith(prefix)
        )

    def leave_out(self, prefix: str | None) -> None:
        """Let updates pass over the weights whose names begin so; None: over none.

        It saves time where these weights match and stay as they are, and changes no bit then.
        """
        self._followed = [
            (name, tensor)
            for name, tensor in _weights(self._classifier)
            if prefix is None or not name.startswith(prefix)
        ]

    @torch.no_grad()
    def copy_to(self, classifier: nn.Module) -> None:
        """Overwrite the classifier's weights with the averages, for good."""
        for name, tensor in _weights(classifier):
            tensor.copy_(self._averages[name])

    @contextmanager
    def applied(self, classifier: nn.Module) -> Iterator[None]:
        """Let the classifier hold the averages for a while; its own weights return unchanged."""
        own = {name: tensor.detach().clone() for name, tensor in _weights(classifier)}
        try:
            self.copy_to(classifier)
            yield
        finally:
            with torch.no_grad():
                for name, tensor in _weights(classifier):
                    tensor.copy_(own[name])

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` takes; the tensors are not copied."""
        return {
            "decay": self.decay,
            "num_updates": self.num_updates,
            "averages": dict(self._averages),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, bit for bit.

        Raises:
            RunError: If it was saved from another classifier.
        """
        averages: dict[str, Tensor] = state["averages"]
        foreign = sorted(
            name
            for name in averages.keys() | self._averages.keys()
            if name not in averages
            or name not in self._averages
            or averages[name].shape != self._averages[name].shape
        )
        if foreign:
            raise RunError(
                f'averaged weights: "{foreign[0]}" does not fit this classifier; '
                "the checkpoint is of another model"
            )
        self.decay = state["decay"]
        self.num_updates = int(state["num_updates"])
        for name, average in averages.items():
            self._averages[name].copy_(average)


def _weights(classifier: nn.Module) -> Iterator[tuple[str, Tensor]]:
    named = chain(classifier.named_parameters(), classifier.named_buffers())
    return ((name, tensor) for name, tensor in named if tensor.is_floating_point())
