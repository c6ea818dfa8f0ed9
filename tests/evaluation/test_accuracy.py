import numpy as np
import pytest
from sklearn import metrics as reference

from finelens.errors import DataError
from finelens.evaluation.accuracy import accuracy, confusion_matrix, top_k_accuracy
from finelens.evaluation.metrics import example_f1, example_precision, example_recall


@pytest.mark.parametrize("seed", range(10))
def test_multi_label_accuracy_is_scikit_learns_subset_accuracy(multi_label_case, seed):
    _, targets, decisions = multi_label_case(seed)
    expected = reference.accuracy_score(targets, decisions)
    assert accuracy(decisions, targets) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_multi_class_figures_agree_with_scikit_learn(multi_class_case, seed):
    scores, targets, decisions = multi_class_case(seed)
    truth, found = targets.argmax(axis=1), scores.argmax(axis=1)
    labels = range(targets.shape[1])
    expected = reference.accuracy_score(truth, found)
    assert accuracy(decisions, targets) == pytest.approx(expected)
    assert top_k_accuracy(scores, targets, 1) == pytest.approx(expected)
    for figure in (example_precision, example_recall, example_f1):
        assert figure(decisions, targets) == pytest.approx(expected)
    top_2 = reference.top_k_accuracy_score(truth, scores, k=2, labels=labels)
    assert top_k_accuracy(scores, targets, 2) == pytest.approx(top_2)
    confusion = reference.confusion_matrix(truth, found, labels=labels)
    assert (confusion_matrix(decisions, targets) == confusion).all()


def test_accuracy_ignores_nan_cells_and_unlabelled_pictures():
    targets = np.array([[1, np.nan], [0, 1], [np.nan, np.nan]])
    decisions = np.array([[True, True], [True, True], [True, True]])
    assert accuracy(decisions, targets) == 0.5


def test_top_k_prefers_the_earlier_of_equal_classes_as_argmax_does():
    targets = np.array([[0.0, 1.0, 0.0]])
    scores = np.array([[0.4, 0.4, 0.2]])
    assert top_k_accuracy(scores, targets, 1) == 0
    assert top_k_accuracy(scores, targets, 2) == 1


def test_top_5_of_three_classes_is_always_right():
    assert top_k_accuracy(np.array([[0.6, 0.3, 0.1]]), np.array([[0.0, 0.0, 1.0]])) == 1


def test_top_0_is_refused():
    with pytest.raises(DataError, match="k is 0"):
        top_k_accuracy(np.ones((1, 2)), np.ones((1, 2)), 0)


def test_accuracies_are_nan_without_labels():
    unknown = np.full((2, 3), np.nan)
    assert np.isnan(accuracy(np.ones((2, 3), dtype=bool), unknown))
    assert np.isnan(top_k_accuracy(np.ones((2, 3)), unknown))


def test_confusion_leaves_out_pictures_without_a_true_class():
    decisions = np.eye(3, dtype=bool)
    targets = np.array([[0, 1, 0], [0, 0, 0], [np.nan] * 3])
    expected = np.zeros((3, 3))
    expected[1, 0] = 1
    assert (confusion_matrix(decisions, targets) == expected).all()
