"""What if: the figures of a split under other thresholds, fast enough to follow a slider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finelens.decision import Decision, highest
from finelens.errors import DataError
from finelens.evaluation.counts import Counts
from finelens.evaluation.scores import Scores
from finelens.evaluation.targets import require_aligned
from finelens.task import BoolArray, FloatArray, Task


@dataclass(frozen=True)
class Outcome:
    """What thresholds give on the labelled pictures of a split.

    Every 0/0 counts as 0; NaN stands where no target is known, as everywhere in ``evaluation``.

    Attributes:
        thresholds_K: By which it was decided, in class order.
        precision_K: Of each class, in [0, 1].
        recall_K: Of each class.
        f1_K: Of each class.
        support_K: Pictures that hold the class.
        decided_K: Pictures of which it is said to be present, its target known.
        confusion_K22: Of each class the counts [[true negative, false positive], [false
            negative, true positive]] of its known targets, as scikit-learn's
            ``multilabel_confusion_matrix`` lays them out.
        confusion: Multi-class: pictures counted by true class (row) and class recognised
            (column), the last column those of which nothing is said, shape (K, K + 1); else None.
        averages: ``example_``, ``macro_`` and ``micro_`` ``precision``, ``recall`` and ``f1``,
            and ``accuracy``, as in ``metrics.json``.
    """

    thresholds_K: FloatArray
    precision_K: FloatArray
    recall_K: FloatArray
    f1_K: FloatArray
    support_K: NDArray[np.int64]
    decided_K: NDArray[np.int64]
    confusion_K22: NDArray[np.int64]
    confusion: NDArray[np.int64] | None
    averages: dict[str, float]


class WhatIf:
    """A split's scores, made ready to be decided by any thresholds.

    In multi-label a class is said to be present from its threshold on; in multi-class the class
    of the highest probability is, where it reaches its own, and otherwise nothing.

    Args:
        scores: What the model said of the split.
        decision: Its temperature, and the thresholds to begin from.

    Raises:
        DataError: If no readable picture has labels.
    """

    def __init__(self, scores: Scores, decision: Decision) -> None:
        judged = scores.labelled()
        if not judged.num_examples:
            raise DataError("no readable picture has labels, so thresholds cannot be judged")
        self.task: Task = judged.task
        self.decision = decision
        self._probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
        self._true_NK: BoolArray = judged.targets_NK == 1
        self._known_NK: BoolArray = ~np.isnan(judged.targets_NK)
        # of what is not the highest, or not known, nothing can be said: no threshold is reached
        sayable_NK = self._known_NK
        if not judged.task.is_multi_label:
            sayable_NK = sayable_NK & highest(self._probabilities_NK)
        self._reached_NK = np.where(sayable_NK, self._probabilities_NK, -1.0)
        self._true_K, self._true_N = _sums(self._true_NK)
        self._known_K, _ = _sums(self._known_NK)

    @property
    def num_examples(self) -> int:
        """Return how many pictures are judged."""
        return len(self._true_NK)

    @property
    def own_thresholds(self) -> FloatArray:
        """Return the decision's own thresholds, shape (K,), 0 where it has none."""
        return np.array(self.decision.thresholds or (0.0,) * self.task.num_classes)

    def of_one(self, class_name: str, threshold: float) -> Outcome:
        """Return what the decision gives with another threshold of one class.

        Raises:
            DataError: If there is no such class.
        """
        thresholds_K = self.own_thresholds
        thresholds_K[self.task.index(class_name)] = threshold
        return self.of(thresholds_K)

    def of_all(self, threshold: float) -> Outcome:
        """Return what one threshold for all classes gives."""
        return self.of(np.full(self.task.num_classes, threshold))

    def of(self, thresholds_K: FloatArray) -> Outcome:
        """Return what thresholds give, one a class in class order, in [0, 1]."""
        require_aligned(np.atleast_2d(thresholds_K), self._true_NK[:1].astype(float))
        decided_NK = self._reached_NK >= thresholds_K
        correct_NK = decided_NK & self._true_NK
        decided_K, decided_N = _sums(decided_NK)
        correct_K, correct_N = _sums(correct_NK)
        classes = Counts(correct_K, decided_K, self._true_K)
        pictures = Counts(correct_N, decided_N, self._true_N)
        is_known_K = self._known_K > 0
        return Outcome(
            thresholds_K=thresholds_K,
            precision_K=np.where(is_known_K, classes.precision, np.nan),
            recall_K=np.where(is_known_K, classes.recall, np.nan),
            f1_K=np.where(is_known_K, classes.f1, np.nan),
            support_K=self._true_K,
            decided_K=decided_K,
            confusion_K22=self._two_by_two(correct_K, decided_K),
            confusion=None if self.task.is_multi_label else self._confusion(decided_NK, decided_N),
            averages=_averages(pictures, classes, is_known_K)
            | {"accuracy": self._accuracy(pictures)},
        )

    def _two_by_two(
        self, correct_K: NDArray[np.int64], decided_K: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        wrong_K, missed_K = decided_K - correct_K, self._true_K - correct_K
        rest_K = self._known_K - correct_K - wrong_K - missed_K
        return np.stack([rest_K, wrong_K, missed_K, correct_K], axis=1).reshape(-1, 2, 2)

    def _accuracy(self, pictures: Counts) -> float:
        # wholly right: all that is true was decided, and nothing else
        is_right_N = (pictures.correct == pictures.true) & (pictures.decided == pictures.true)
        return float(is_right_N.mean())

    def _confusion(self, decided_NK: BoolArray, decided_N: NDArray[np.int64]) -> NDArray[np.int64]:
        num_classes = self.task.num_classes
        has_class_N = self._true_N > 0
        said_N = np.where(decided_N > 0, decided_NK.argmax(axis=1), num_classes)
        cell_M = self._true_NK.argmax(axis=1)[has_class_N] * (num_classes + 1) + said_N[has_class_N]
        counts = np.bincount(cell_M, minlength=num_classes * (num_classes + 1))
        return counts.reshape(num_classes, num_classes + 1)


def _sums(cells_NK: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many cells are true in each column, and in each row."""
    # a product of floats is many times as fast as a sum of booleans, and exact up to 2^24 cells
    cells = cells_NK.astype(np.float32)
    ones_N, ones_K = (np.ones(side, dtype=np.float32) for side in cells.shape)
    return (ones_N @ cells).astype(np.int64), (cells @ ones_K).astype(np.int64)


def _averages(pictures: Counts, classes: Counts, is_known_K: BoolArray) -> dict[str, float]:
    pooled = classes.sum()
    figures: dict[str, float] = {}
    for name in ("precision", "recall", "f1"):
        figures[f"example_{name}"] = float(getattr(pictures, name).mean())
        figures[f"macro_{name}"] = float(getattr(classes, name)[is_known_K].mean())
        figures[f"micro_{name}"] = float(getattr(pooled, name))
    return figures
