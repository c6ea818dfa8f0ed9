import numpy as np
import pytest

from finelens.decision import Decision
from finelens.errors import DataError
from finelens.evaluation.class_mistakes import class_mistakes
from finelens.task import TaskKind

NAN = np.nan
HALF = Decision(thresholds=(0.5, 0.5))


@pytest.fixture
def scores(scores_of):
    return scores_of(
        [[4, 2], [-1, 3], [-3, -2], [9, NAN], [9, 9], [NAN, NAN]],
        [[0, 1], [1, 0], [1, 1], [NAN, NAN], [NAN, 0], [0, 0]],
        errors=[None, None, None, None, None, "truncated"],
    )


def places(found):
    return [(one.row, one.class_name) for one in found]


def test_said_with_confidence_and_not_there_the_surest_first(scores):
    found = class_mistakes(scores, HALF, None, missed=False)
    assert places(found) == [(4, "class-1"), (0, "class-0"), (1, "class-1")]
    assert found[1].probability == pytest.approx(1 / (1 + np.exp(-4)))


def test_there_and_not_said_the_least_probable_first(scores):
    found = class_mistakes(scores, HALF, None, missed=True)
    assert places(found) == [(2, "class-0"), (2, "class-1"), (1, "class-0")]


def test_of_one_class_all_its_mistakes_are_found_be_they_worse_elsewhere(scores):
    assert places(class_mistakes(scores, HALF, "class-1", missed=True)) == [(2, "class-1")]
    assert places(class_mistakes(scores, HALF, "class-0", missed=False)) == [(0, "class-0")]
    assert len(class_mistakes(scores, HALF, None, missed=False, n=1)) == 1


def test_a_multi_class_mistake_is_one_of_the_class_said_and_one_of_the_class_missed(scores_of):
    scores = scores_of(
        [[2, 1, 0], [0, 5, 0], [3, 0, 0]], np.eye(3)[[1, 0, 0]], kind=TaskKind.MULTI_CLASS
    )
    wrong = class_mistakes(scores, Decision(), None, missed=False)
    assert places(wrong) == [(1, "class-1"), (0, "class-0")]
    missed = class_mistakes(scores, Decision(), None, missed=True)
    assert places(missed) == [(1, "class-0"), (0, "class-1")]


@pytest.mark.parametrize("kind", list(TaskKind))
def test_each_wrong_decision_is_found_once(trained_scores, kind):
    scores = trained_scores(kind=kind)
    decision = Decision(thresholds=(0.5,) * 5) if kind is TaskKind.MULTI_LABEL else Decision()
    decided_NK = decision.decide(decision.probabilities(scores.task, scores.logits_NK))
    found = [
        place
        for missed in (False, True)
        for name in scores.task.classes
        for place in places(class_mistakes(scores, decision, name, missed=missed, n=1000))
    ]
    wrong = np.argwhere(decided_NK != (scores.targets_NK == 1))
    assert sorted(found) == [(row, scores.task.classes[k]) for row, k in wrong.tolist()]


def test_an_unknown_class_is_told(scores):
    with pytest.raises(DataError, match='class "class-9" is unknown'):
        class_mistakes(scores, HALF, "class-9", missed=True)
