"""The examples: a few pictures to try a model on, as different as can be, and typical."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from finelens.decision import Decision
from finelens.evaluation.scores import Scores


def choose_examples(
    scores: Scores,
    decision: Decision,
    *,
    n: int | None = None,
    is_usable: Callable[[str], bool] = lambda _path: True,
) -> list[int]:
    """Return rows of a split's scores: for each class in turn a picture that holds it.

    Of a class it is the picture whose probability is nearest to the middle one of all that hold
    the class: neither its best nor its worst. No picture stands for two classes. Pictures that
    could not be read are left out, and classes that no other picture holds.

    Args:
        scores: What the model said of the split.
        decision: Its temperature.
        n: How many at most, of classes evenly spread; None: one a class.
        is_usable: Is asked of the paths that would be chosen, such as whether the file is there
            yet; where it is not, the next takes its place.
    """
    readable_N = np.array([error is None for error in scores.errors], dtype=bool)
    holds_NK = (scores.targets_NK == 1) & readable_N[:, None]
    probabilities_NK = decision.probabilities(scores.task, scores.logits_NK)
    held = np.flatnonzero(holds_NK.any(axis=0))
    if n is not None and n < len(held):
        held = held[np.linspace(0, len(held) - 1, n).round().astype(int)]
    chosen: list[int] = []
    for k in held:
        rows = _from_the_middle(np.flatnonzero(holds_NK[:, k]), probabilities_NK[:, k])
        free = (row for row in rows if row not in chosen and is_usable(scores.paths[row]))
        row = next(free, None)
        if row is not None:
            chosen.append(row)
    return chosen


def _from_the_middle(rows_M: NDArray[np.intp], probabilities_N: NDArray[np.floating]) -> list[int]:
    """Return rows, that of the median probability first and those of the extremes last."""
    ranked_M = rows_M[np.argsort(probabilities_N[rows_M], kind="stable")]
    distance_M = np.abs(np.arange(len(ranked_M)) - (len(ranked_M) - 1) / 2)
    return ranked_M[np.argsort(distance_M, kind="stable")].tolist()
