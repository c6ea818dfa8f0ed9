"""The task: which classes there are and whether a picture holds one of them or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from finelens.errors import DataError, did_you_mean

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]


class TaskKind(StrEnum):
    """Whether exactly one class is true of a picture, or any number of them."""

    MULTI_CLASS = "multi-class"
    MULTI_LABEL = "multi-label"


@dataclass(frozen=True)
class Task:
    """Class names in the order of the model's outputs, and the kind of the task."""

    kind: TaskKind
    classes: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Return K."""
        return len(self.classes)

    @property
    def is_multi_label(self) -> bool:
        """Return whether any number of classes may be true of one picture."""
        return self.kind is TaskKind.MULTI_LABEL

    def index(self, name: str) -> int:
        """Return a class's column.

        Raises:
            DataError: If there is no such class; the nearest names are given.
        """
        if name not in self.classes:
            raise DataError(f'class "{name}" is unknown{did_you_mean(name, self.classes)}')
        return self.classes.index(name)

    def targets(
        self,
        labels: Sequence[Sequence[str] | None],
        ignored: Sequence[Sequence[str] | None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the target rows of N pictures, shape (N, K), values 1, 0 or NaN.

        NaN says "neither": classes in ``ignored`` that are not also labels (VOC's
        "difficult"), and the whole row of a picture whose labels are None (unknown).
        """
        column = {name: k for k, name in enumerate(self.classes)}
        targets_NK = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        for n, names in enumerate(labels):
            if names is None:
                targets_NK[n] = np.nan
                continue
            if ignored is not None:
                targets_NK[n, [column[name] for name in ignored[n] or ()]] = np.nan
            targets_NK[n, [column[name] for name in names]] = 1.0
        return targets_NK

    def names(self, decisions_K: BoolArray) -> list[str]:
        """Return the names of the classes that are true in one row of decisions."""
        return [name for name, yes in zip(self.classes, decisions_K, strict=True) if yes]

    def probabilities(self, logits_NK: FloatArray, temperature: float = 1.0) -> FloatArray:
        """Return probabilities of logits divided by a temperature, shape (N, K), in [0, 1].

        Sigmoid per class for multi-label, softmax over classes for multi-class; computed and
        returned in float64. Rows of NaN (unreadable pictures) stay NaN.
        """
        scaled_NK = np.asarray(logits_NK, dtype=np.float64) / temperature
        if self.is_multi_label:
            # exp(-|x|) never overflows
            decay_NK = np.exp(-np.abs(scaled_NK))
            return np.where(scaled_NK >= 0, 1.0, decay_NK) / (1.0 + decay_NK)
        shifted_NK = np.exp(scaled_NK - scaled_NK.max(axis=-1, keepdims=True))
        return shifted_NK / shifted_NK.sum(axis=-1, keepdims=True)
