import warnings

import numpy as np
import pytest
from scipy.special import expit, softmax

from finelens.errors import DataError
from finelens.task import Task, TaskKind

MANY = Task(TaskKind.MULTI_LABEL, ("ball", "cube", "cone"))
ONE = Task(TaskKind.MULTI_CLASS, ("ball", "cube", "cone"))


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        yield


def test_the_kinds_are_written_as_recipes_write_them():
    assert [str(kind) for kind in TaskKind] == ["multi-class", "multi-label"]
    assert MANY.is_multi_label and not ONE.is_multi_label


def test_a_class_has_the_column_of_its_place():
    assert [MANY.index(name) for name in MANY.classes] == [0, 1, 2]
    assert MANY.num_classes == 3


def test_an_unknown_class_is_named_with_the_nearest():
    with pytest.raises(DataError, match='class "bal" is unknown; did you mean "ball"'):
        MANY.index("bal")


def test_targets_are_one_where_a_label_stands():
    targets_NK = MANY.targets([["cone", "ball"], [], ["cube"]])
    assert targets_NK.dtype == np.float32
    assert targets_NK.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_unknown_labels_are_a_row_of_nan():
    targets_NK = MANY.targets([None, ["ball"]], [["ball"], None])
    assert np.isnan(targets_NK[0]).all()
    assert targets_NK[1].tolist() == [1, 0, 0]


def test_an_ignored_class_is_nan_unless_it_is_also_a_label():
    targets_NK = MANY.targets([["ball"]], [["ball", "cone"]])
    np.testing.assert_array_equal(targets_NK, [[1, 0, np.nan]])


def test_names_are_those_that_are_true_in_class_order():
    assert MANY.names(np.array([True, False, True])) == ["ball", "cone"]
    with pytest.raises(ValueError):
        MANY.names(np.array([True]))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_probabilities_agree_with_scipy(temperature, scale):
    logits_NK = np.random.default_rng(0).normal(0, scale, (50, 3)).astype(np.float32)
    divided_NK = logits_NK.astype(np.float64) / temperature
    for task, reference in ((MANY, expit), (ONE, lambda x_NK: softmax(x_NK, axis=1))):
        np.testing.assert_allclose(
            task.probabilities(logits_NK, temperature), reference(divided_NK), rtol=1e-12
        )


def test_extreme_logits_give_zero_and_one_without_overflow():
    largest = float(np.finfo(np.float32).max)
    logits_NK = np.array([[largest, 0, -largest], [-800, 800, 0]], dtype=np.float32)
    assert MANY.probabilities(logits_NK).tolist() == [[1, 0.5, 0], [0, 1, 0.5]]
    assert ONE.probabilities(logits_NK, 0.01).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_small_probabilities_are_not_rounded_to_zero():
    assert 0 < MANY.probabilities(np.array([[-100.0, 0, 0]]))[0, 0] < 1e-40


@pytest.mark.parametrize("task", [MANY, ONE])
def test_rows_of_nan_stay_nan_and_touch_no_other(task):
    logits_NK = np.array([[0.5, 1, -1], [np.nan] * 3], dtype=np.float32)
    probabilities_NK = task.probabilities(logits_NK)
    assert np.isnan(probabilities_NK[1]).all()
    np.testing.assert_array_equal(probabilities_NK[:1], task.probabilities(logits_NK[:1]))


@pytest.mark.parametrize("task", [MANY, ONE])
def test_no_pictures_have_no_probabilities(task):
    assert task.probabilities(np.zeros((0, 3), dtype=np.float32)).shape == (0, 3)


def test_temperature_never_changes_which_class_is_first():
    logits_NK = np.random.default_rng(1).normal(0, 5, (100, 3))
    for temperature in (0.1, 1.0, 20.0):
        first_N = ONE.probabilities(logits_NK, temperature).argmax(axis=1)
        np.testing.assert_array_equal(first_N, logits_NK.argmax(axis=1))
