"""An example's scores: what was said of one picture, class by class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finelens.decision import Decision
from finelens.evaluation.scores import Scores


class ClassScore(NamedTuple):
    """What was said of one class.

    Attributes:
        class_name: The class.
        probability: Calibrated, in [0, 1].
        threshold: From which the class is said to be present; None where there is none.
        is_decided: Whether it is said to be present.
        is_positive: Whether it is; None is unknown.
    """

    class_name: str
    probability: float
    threshold: float | None
    is_decided: bool
    is_positive: bool | None


def example_scores(scores: Scores, decision: Decision, row: int) -> list[ClassScore]:
    """Return what was said of every class of one picture, the most probable first.

    Of equal probabilities the earlier class comes first. Empty for an unreadable picture.

    Args:
        scores: What the model said.
        decision: Temperature and thresholds.
        row: Of the picture, in the scores.
    """
    if scores.errors[row] is not None:
        return []
    task, targets_K = scores.task, scores.targets_NK[row]
    probabilities_1K = decision.probabilities(task, scores.logits_NK[[row]])
    decided_K = decision.decide(probabilities_1K)[0]
    thresholds = decision.thresholds or (None,) * task.num_classes
    return [
        ClassScore(
            task.classes[k],
            float(probabilities_1K[0, k]),
            thresholds[k],
            bool(decided_K[k]),
            None if np.isnan(targets_K[k]) else bool(targets_K[k] == 1),
        )
        for k in np.argsort(-probabilities_1K[0], kind="stable")
    ]
