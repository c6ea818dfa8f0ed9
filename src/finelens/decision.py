"""The decision: the temperature and the thresholds that turn logits into yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from finelens.errors import ConfigError
from finelens.task import BoolArray, FloatArray, Task


@dataclass(frozen=True)
class Edit:
    """A change of thresholds by hand.

    Attributes:
        at: When, ISO 8601 in UTC.
        previous: The file in the model folder that keeps the decision before it.
        classes: The classes whose thresholds were set by hand, then or before, in class order.
    """

    at: str
    previous: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """How a model says yes: part of the model, saved as ``decision.json``.

    Attributes:
        temperature: Logits are divided by it before they become probabilities; above 0.
        thresholds: One probability a class, in class order; a class is said to be present
            where its probability is at least its threshold. None for multi-class: the class
            of the highest probability is chosen, unless thresholds were set by hand.
        threshold: The one threshold that is best for all classes together (what the
            thresholds of rare classes were shrunk to), or the fixed one. None for multi-class.
        goal: What the thresholds were chosen for: ``f1``, ``precision>=x`` or ``fixed``.
        scope: ``per_class`` or ``global``.
        chosen_on: The split they were chosen on, with its number of pictures or clips.
        only_highest: Whether no class but that of the highest probability is said to be
            present: multi-class with thresholds, which says nothing below them.
        edit: Its last change by hand, if there was any.
    """

    temperature: float = 1.0
    thresholds: tuple[float, ...] | None = None
    threshold: float | None = None
    goal: str = "argmax"
    scope: str = "global"
    chosen_on: str = ""
    only_highest: bool = False
    edit: Edit | None = None

    def probabilities(self, task: Task, logits_NK: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (N, K), in [0, 1]."""
        return task.probabilities(logits_NK, self.temperature)

    def decide(self, probabilities_NK: FloatArray) -> BoolArray:
        """Return decisions, shape (N, K); rows of NaN decide nothing.

        Multi-class rows hold exactly one yes, the first of the highest probabilities; with
        thresholds, none where it does not reach its own.
        """
        if self.thresholds is None:
            return highest(probabilities_NK)
        decisions_NK = probabilities_NK >= np.asarray(self.thresholds)
        return decisions_NK & highest(probabilities_NK) if self.only_highest else decisions_NK

    def edited(
        self, task: Task, thresholds: Mapping[str, float], *, at: str, previous: str
    ) -> Decision:
        """Return the decision with some classes' thresholds set by hand.

        Where all are equal then, they are one global threshold. In multi-class the other classes
        keep none, which is one of 0.

        Args:
            task: Its classes.
            thresholds: Class names and probabilities in [0, 1].
            at: See ``Edit``.
            previous: See ``Edit``.

        Raises:
            ConfigError: If there is none, or one is no probability.
            DataError: If there is no such class.
        """
        if not thresholds:
            raise ConfigError("no threshold is given; name a class and a number from 0 to 1")
        values = list(self.thresholds or (0.0,) * task.num_classes)
        for name, value in thresholds.items():
            if not 0 <= value <= 1:
                raise ConfigError(f'threshold of "{name}": {value} must be a number from 0 to 1')
            values[task.index(name)] = float(value)
        by_hand = {*thresholds, *(self.edit.classes if self.edit else ())}
        is_global = len(set(values)) == 1
        return replace(
            self,
            thresholds=tuple(values),
            threshold=values[0] if is_global else self.threshold,
            scope="global" if is_global else "per_class",
            only_highest=not task.is_multi_label,
            edit=Edit(at, previous, tuple(name for name in task.classes if name in by_hand)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``decision.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Decision:
        """Return the decision that ``to_json`` wrote.

        Raises:
            TypeError: If a key is foreign.
            ValueError: If the temperature is not above 0 or a threshold is not in [0, 1].
        """
        thresholds, edit = content.get("thresholds"), content.get("edit")
        if thresholds is not None:
            content = content | {"thresholds": tuple(float(value) for value in thresholds)}
        if edit is not None:
            content = content | {"edit": Edit(**edit | {"classes": tuple(edit["classes"])})}
        decision = cls(**content)
        if not 0 < decision.temperature < float("inf"):
            raise ValueError(f"temperature {decision.temperature} is not above 0 and finite")
        for threshold in decision.thresholds or ():
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold {threshold} is not in [0, 1]")
        return decision


def highest(probabilities_NK: FloatArray) -> BoolArray:
    """Return where each row's first highest probability is, shape (N, K); none in rows of NaN."""
    highest_NK = np.zeros(probabilities_NK.shape, dtype=bool)
    readable_N = ~np.isnan(probabilities_NK).any(axis=1)
    best_M = np.argmax(probabilities_NK[readable_N], axis=1)
    highest_NK[np.flatnonzero(readable_N), best_M] = True
    return highest_NK
