import numpy as np
import pytest

from finelens.decision import Decision
from finelens.evaluation.examples import choose_examples
from finelens.task import TaskKind

NAN = np.nan
HALF = Decision(thresholds=(0.5, 0.5))


def test_of_each_class_it_is_the_picture_of_the_middle_probability(scores_of):
    scores = scores_of(
        [[9, 0], [1, 0], [2, 0], [0, 5], [0, 3], [0, 4]],
        [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]],
    )
    assert choose_examples(scores, HALF) == [2, 5]


def test_no_picture_stands_for_two_classes(scores_of):
    scores = scores_of([[1, 1], [2, 0], [3, 0]], [[0, 1], [1, 1], [1, 0]])
    # the lower of two middles is 1; for the second class only 0 is left then
    assert choose_examples(scores, HALF) == [1, 0]
    assert choose_examples(scores_of([[1, 1]], [[1, 1]]), HALF) == [0]


def test_unreadable_unlabelled_and_unusable_pictures_are_passed_over(scores_of):
    scores = scores_of(
        [[NAN, NAN], [1, 1], [2, 2], [3, 3]],
        [[1, 1], [NAN, NAN], [1, 1], [1, 1]],
        errors=["truncated", None, None, None],
    )
    assert choose_examples(scores, HALF) == [2, 3]
    asked = []

    def is_usable(path):
        asked.append(path)
        return path != "/data/2.jpg"

    assert choose_examples(scores, HALF, is_usable=is_usable) == [3]
    assert "/data/0.jpg" not in asked


@pytest.mark.parametrize("kind", list(TaskKind))
def test_a_few_come_from_classes_evenly_spread(trained_scores, kind):
    scores = trained_scores(200, kind=kind)
    num_classes = scores.task.num_classes
    decision = Decision(thresholds=(0.5,) * 5) if kind is TaskKind.MULTI_LABEL else Decision()
    assert len(choose_examples(scores, decision)) == num_classes
    for n in (0, 1, 3, num_classes, num_classes + 4):
        rows = choose_examples(scores, decision, n=n)
        assert len(rows) == len(set(rows)) == min(n, num_classes)
    first, _, last = choose_examples(scores, decision, n=3)
    assert scores.targets_NK[first, 0] == 1
    assert scores.targets_NK[last, -1] == 1


def test_a_split_without_labels_has_none(scores_of):
    assert choose_examples(scores_of([[1, 2]], [[NAN, NAN]]), HALF) == []
