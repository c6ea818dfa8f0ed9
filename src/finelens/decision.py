"""The decision: the temperature and the thresholds that turn logits into yes or no."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from finelens.task import BoolArray, FloatArray, Task


@dataclass(frozen=True)
class Decision:
    """How a model says yes: part of the model, saved as ``decision.json``.

    Attributes:
        temperature: Logits are divided by it before they become probabilities; above 0.
        thresholds: One probability a class, in class order; a class is said to be present
            where its probability is at least its threshold. None for multi-class: the class
            of the highest probability is chosen.
        threshold: The one threshold that is best for all classes together (what the
            thresholds of rare classes were shrunk to), or the fixed one. None for multi-class.
        goal: What the thresholds were chosen for: ``f1``, ``precision>=x`` or ``fixed``.
        scope: ``per_class`` or ``global``.
        chosen_on: The split they were chosen on, with its number of pictures.
    """

    temperature: float = 1.0
    thresholds: tuple[float, ...] | None = None
    threshold: float | None = None
    goal: str = "argmax"
    scope: str = "global"
    chosen_on: str = ""

    def probabilities(self, task: Task, logits_NK: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (N, K), in [0, 1]."""
        return task.probabilities(logits_NK, self.temperature)

    def decide(self, probabilities_NK: FloatArray) -> BoolArray:
        """Return decisions, shape (N, K); rows of NaN decide nothing.

        Multi-class rows hold exactly one yes: the first of the highest probabilities.
        """
        if self.thresholds is not None:
            return probabilities_NK >= np.asarray(self.thresholds)
        decisions_NK = np.zeros(probabilities_NK.shape, dtype=bool)
        readable_N = ~np.isnan(probabilities_NK).any(axis=1)
        best_M = np.argmax(probabilities_NK[readable_N], axis=1)
        decisions_NK[np.flatnonzero(readable_N), best_M] = True
        return decisions_NK

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
        thresholds = content.get("thresholds")
        if thresholds is not None:
            content = content | {"thresholds": tuple(float(value) for value in thresholds)}
        decision = cls(**content)
        if not 0 < decision.temperature < float("inf"):
            raise ValueError(f"temperature {decision.temperature} is not above 0 and finite")
        for threshold in decision.thresholds or ():
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold {threshold} is not in [0, 1]")
        return decision
