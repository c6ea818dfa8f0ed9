import numpy as np
import pytest

from finelens.decision import Decision
from finelens.evaluation.example_scores import example_scores
from finelens.evaluation.predictions import predictions_table
from finelens.task import TaskKind

NAN = np.nan


def test_every_class_is_told_the_most_probable_first(scores_of):
    scores = scores_of([[-1, 2, 0.5], [0, 0, 0]], [[1, 0, NAN], [0, 0, 0]])
    found = example_scores(scores, Decision(2.0, (0.3, 0.8, 0.5)), 0)
    assert [one.class_name for one in found] == ["class-1", "class-2", "class-0"]
    assert [one.threshold for one in found] == [0.8, 0.5, 0.3]
    assert [one.is_decided for one in found] == [False, True, True]
    assert [one.is_positive for one in found] == [False, None, True]
    expected = 1 / (1 + np.exp(-np.array([1, 0.25, -0.5])))
    assert [one.probability for one in found] == pytest.approx(expected.tolist())


@pytest.mark.parametrize("kind", list(TaskKind))
def test_it_says_what_predictions_say(trained_scores, kind):
    scores = trained_scores(30, kind=kind)
    decision = Decision(1.3, (0.4,) * 5) if kind is TaskKind.MULTI_LABEL else Decision(1.3)
    table = predictions_table(scores, decision)
    for row, said in enumerate(table.iter_rows(named=True)):
        found = example_scores(scores, decision, row)
        assert {one.class_name for one in found if one.is_decided} == set(said["labels"])
        for one in found:
            assert one.probability == said[f"probability.{one.class_name}"]


def test_of_an_unreadable_picture_nothing_is_said(scores_of):
    scores = scores_of([[NAN, NAN]], [[1, 0]], errors=["truncated"])
    assert example_scores(scores, Decision(thresholds=(0.5, 0.5)), 0) == []
