import json
import warnings

import numpy as np
import pytest

from finelens.decision import Decision
from finelens.task import Task, TaskKind

PER_CLASS = Decision(
    temperature=1.7, thresholds=(0.2, 0.5), threshold=0.4, goal="precision>=0.9",
    scope="per_class", chosen_on="val (9 pictures)",
)  # fmt: skip


@pytest.mark.parametrize("decision", [Decision(), PER_CLASS])
def test_a_decision_comes_back_from_json(decision):
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_a_foreign_key_is_refused():
    with pytest.raises(TypeError, match="tempreature"):
        Decision.from_json({"tempreature": 1.0})


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_above_zero_and_finite(temperature):
    with pytest.raises(ValueError, match="temperature"):
        Decision.from_json({"temperature": temperature})


@pytest.mark.parametrize("thresholds", [[0.5, float("nan")], ["half", 0.5], [0.5, 1.5], [-0.1]])
def test_thresholds_must_be_probabilities(thresholds):
    with pytest.raises(ValueError):
        Decision.from_json({"thresholds": thresholds})


def test_a_class_is_present_at_its_own_threshold_and_above():
    probabilities_NK = np.array([[0.2, 0.5], [0.199, 0.499], [0.3, 0.4]])
    assert PER_CLASS.decide(probabilities_NK).tolist() == [
        [True, True], [False, False], [True, False],
    ]  # fmt: skip


def test_multi_class_says_yes_to_the_first_of_the_highest():
    probabilities_NK = np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]])
    assert Decision().decide(probabilities_NK).tolist() == [
        [False, True, False], [True, False, False],
    ]  # fmt: skip


@pytest.mark.parametrize("decision", [Decision(), PER_CLASS])
def test_unreadable_pictures_decide_nothing(decision):
    probabilities_NK = np.array([[np.nan, np.nan], [0.1, 0.9], [np.nan, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decision.decide(probabilities_NK).any(axis=1).tolist() == [False, True, False]
        assert not decision.decide(np.full((2, 2), np.nan)).any()
        assert decision.decide(np.zeros((0, 2))).shape == (0, 2)


def test_probabilities_are_calibrated_by_the_temperature():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b"))
    logits_NK = np.array([[1.7, -3.4]])
    np.testing.assert_allclose(
        PER_CLASS.probabilities(task, logits_NK), task.probabilities(np.array([[1.0, -2.0]]))
    )
