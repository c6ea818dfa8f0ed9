"""A class's mistakes: where it was said with confidence and is not there, and where missed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finelens.decision import Decision
from finelens.evaluation.scores import Scores


class ClassMistake(NamedTuple):
    """A wrong decision on one class of one picture.

    Attributes:
        row: Of the picture, in the scores.
        class_name: The class.
        probability: Of the class, calibrated, in [0, 1].
    """

    row: int
    class_name: str
    probability: float


def class_mistakes(
    scores: Scores, decision: Decision, class_name: str | None, *, missed: bool, n: int = 50
) -> list[ClassMistake]:
    """Return the n worst wrong decisions of a class, or of all classes.

    Unreadable pictures and unknown targets are left out; of equal probabilities the earlier
    picture comes first, then the earlier class.

    Args:
        scores: What the model said.
        decision: Temperature and thresholds.
        class_name: None takes every class.
        missed: Whether classes that are there and were not said, the least probable first; else
            those said that are not there, the most probable first.
        n: How many at most.

    Raises:
        DataError: If there is no such class.
    """
    task = scores.task
    probabilities_NK = decision.probabilities(task, scores.logits_NK)
    # rows of NaN, which are unreadable, neither say nor miss anything
    readable_N1 = ~np.isnan(probabilities_NK).any(axis=1, keepdims=True)
    decided_NK = decision.decide(probabilities_NK)
    wrong_NK = ~decided_NK & (scores.targets_NK == 1) if missed else (
        decided_NK & (scores.targets_NK == 0)
    )  # fmt: skip
    wrong_NK = wrong_NK & readable_N1
    if class_name is not None:
        wrong_NK[:, np.arange(task.num_classes) != task.index(class_name)] = False
    rows, columns = np.nonzero(wrong_NK)
    found = probabilities_NK[rows, columns]
    order = np.argsort(found if missed else -found, kind="stable")[:n]
    return [
        ClassMistake(int(rows[at]), task.classes[columns[at]], float(found[at])) for at in order
    ]
