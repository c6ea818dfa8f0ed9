import json
import warnings

import numpy as np
import pytest

from finelens.decision import Decision, Edit
from finelens.errors import ConfigError, DataError
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


EDITED = PER_CLASS.edited(
    Task(TaskKind.MULTI_LABEL, ("a", "b")),
    {"b": 0.7},
    at="2026-01-02",
    previous="decision-0001.json",
)


def test_an_edited_decision_comes_back_from_json():
    assert Decision.from_json(json.loads(json.dumps(EDITED.to_json()))) == EDITED
    assert EDITED.edit == Edit("2026-01-02", "decision-0001.json", ("b",))


def test_a_decision_of_before_edits_were_known_is_read():
    content = PER_CLASS.to_json()
    del content["edit"], content["only_highest"]
    assert Decision.from_json(content) == PER_CLASS


def test_an_edit_changes_its_classes_alone_and_remembers_earlier_ones():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b"))
    assert EDITED.thresholds == (0.2, 0.7)
    assert (EDITED.threshold, EDITED.goal, EDITED.scope) == (0.4, "precision>=0.9", "per_class")
    again = EDITED.edited(task, {"a": 0.7}, at="later", previous="decision-0002.json")
    assert again.thresholds == (0.7, 0.7)
    assert (again.threshold, again.scope) == (0.7, "global")
    assert again.edit == Edit("later", "decision-0002.json", ("a", "b"))


def test_multi_class_with_thresholds_names_the_highest_where_it_reaches_its_own():
    task = Task(TaskKind.MULTI_CLASS, ("a", "b", "c"))
    decision = Decision(temperature=2.0).edited(task, {"b": 0.5}, at="", previous="")
    assert decision.thresholds == (0, 0.5, 0)
    probabilities_NK = np.array(
        [[0.1, 0.6, 0.3], [0.3, 0.45, 0.25], [0.4, 0.2, 0.4], [0.25, 0.5, 0.25], [np.nan] * 3]
    )
    assert decision.decide(probabilities_NK).tolist() == [
        [False, True, False], [False] * 3, [True, False, False], [False, True, False], [False] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_threshold_by_hand_must_be_a_probability(value):
    task = Task(TaskKind.MULTI_LABEL, ("a", "b"))
    with pytest.raises(ConfigError, match=r'threshold of "a": .* must be a number from 0 to 1'):
        PER_CLASS.edited(task, {"a": value}, at="", previous="")


def test_an_edit_without_a_threshold_or_of_an_unknown_class_is_told():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b"))
    with pytest.raises(ConfigError, match="no threshold is given"):
        PER_CLASS.edited(task, {}, at="", previous="")
    with pytest.raises(DataError, match='class "c" is unknown'):
        PER_CLASS.edited(task, {"c": 0.5}, at="", previous="")
