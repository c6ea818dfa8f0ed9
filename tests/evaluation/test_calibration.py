import numpy as np
import pytest
import torch
from torch.nn import functional as F

from finelens.evaluation.calibration import (
    choose_temperature,
    confidences,
    expected_calibration_error,
    reliability_curve,
)
from finelens.task import Task, TaskKind

LABELS = Task(TaskKind.MULTI_LABEL, ("a", "b", "c"))
ONE_OF = Task(TaskKind.MULTI_CLASS, ("a", "b", "c"))


def drawn(task, *, temperature, num_examples=4000, seed=0):
    """Logits whose true temperature is known, with targets drawn from their probabilities."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (num_examples, 3))
    probabilities = task.probabilities(logits)
    if task.is_multi_label:
        targets = generator.random(logits.shape) < probabilities
    else:
        targets = np.eye(3)[[generator.choice(3, p=row) for row in probabilities]]
    return logits * temperature, targets.astype(np.float32)


def torch_loss(task, logits, targets, temperature):
    scaled, wanted = torch.tensor(logits / temperature), torch.tensor(targets).double()
    if task.is_multi_label:
        return float(F.binary_cross_entropy_with_logits(scaled, wanted))
    return float(F.cross_entropy(scaled, wanted))


@pytest.mark.parametrize("task", [LABELS, ONE_OF], ids=str)
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_is_the_minimiser_of_torchs_loss(task, temperature):
    logits, targets = drawn(task, temperature=temperature)
    found = choose_temperature(logits, targets, task)
    assert found == pytest.approx(temperature, rel=0.1)
    here = torch_loss(task, logits, targets, found)
    for other in (found * 0.98, found * 1.02):
        assert here < torch_loss(task, logits, targets, other)


@pytest.mark.parametrize("task", [LABELS, ONE_OF], ids=str)
def test_scaling_lowers_the_calibration_error(task):
    logits, targets = drawn(task, temperature=4.0)
    found = choose_temperature(logits, targets, task)
    before, after = (
        expected_calibration_error(*confidences(task.probabilities(logits, t), targets, task))
        for t in (1.0, found)
    )
    assert after < 0.3 * before


def test_nan_targets_do_not_change_the_temperature():
    logits, targets = drawn(LABELS, temperature=2.0, num_examples=200)
    more_logits = np.vstack([logits, np.full((50, 3), 9.0)])
    more_targets = np.vstack([targets, np.full((50, 3), np.nan, dtype=np.float32)])
    assert choose_temperature(more_logits, more_targets, LABELS) == pytest.approx(
        choose_temperature(logits, targets, LABELS)
    )


@pytest.mark.parametrize("task", [LABELS, ONE_OF], ids=str)
def test_the_temperature_is_1_where_nothing_is_wrong_or_nothing_is_known(task):
    logits = 4 * np.eye(3) - 2
    assert choose_temperature(logits, np.eye(3), task) == 1
    assert choose_temperature(logits, np.full((3, 3), np.nan), task) == 1
    assert choose_temperature(np.zeros((3, 3)), np.eye(3), task) == 1


def test_the_calibration_error_worked_by_hand():
    # bins of 1/2: (0, .5] holds .25 and .5, one true; (.5, 1] holds .75 and 1, both true
    confidence, outcome = np.array([0.25, 0.5, 0.75, 1.0]), np.array([True, False, True, True])
    curve = reliability_curve(confidence, outcome, bins=2)
    assert curve.rows() == [(0.375, 0.5, 2), (0.875, 1.0, 2)]
    assert expected_calibration_error(confidence, outcome, bins=2) == pytest.approx(0.125)


def test_the_calibration_error_is_nan_without_statements():
    assert np.isnan(expected_calibration_error(np.array([]), np.array([], dtype=bool)))


def test_multi_class_states_its_top_class_and_multi_label_every_known_cell():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    targets = np.array([[0, 1, 0], [0, np.nan, 1]])
    confidence, outcome = confidences(probabilities, targets, ONE_OF)
    assert confidence.tolist() == [0.5, 0.6]
    assert outcome.tolist() == [True, False]
    confidence, outcome = confidences(probabilities, targets, LABELS)
    assert confidence.tolist() == [0.2, 0.5, 0.3, 0.6, 0.1]
    assert outcome.tolist() == [False, True, False, False, True]
