import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from finelens.errors import DataError
from finelens.evaluation import metrics

AVERAGES = {
    "samples": (metrics.example_precision, metrics.example_recall, metrics.example_f1),
    "macro": (metrics.macro_precision, metrics.macro_recall, metrics.macro_f1),
    "micro": (metrics.micro_precision, metrics.micro_recall, metrics.micro_f1),
}


@pytest.mark.parametrize("average", AVERAGES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_averages_agree_with_scikit_learn(multi_label_case, average, seed):
    _, targets, decisions = multi_label_case(seed)
    expected = precision_recall_fscore_support(targets, decisions, average=average, zero_division=0)
    ours = [figure(decisions, targets) for figure in AVERAGES[average]]
    assert ours == pytest.approx(list(expected[:3]))


def test_example_f1_is_the_mean_of_the_examples_f1_and_not_of_the_means():
    targets = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=np.float32)
    decisions = np.array([[1, 0, 0, 0], [1, 1, 1, 0]], dtype=bool)
    assert metrics.example_precision(decisions, targets) == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.example_recall(decisions, targets) == pytest.approx((1 / 2 + 1) / 2)
    assert metrics.example_f1(decisions, targets) == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("seed", range(10))
def test_an_ignored_class_counts_neither_as_decided_nor_as_true(multi_label_case, seed):
    _, targets, decisions = multi_label_case(seed, ignored=0.2)
    rows = ~np.isnan(targets).all(axis=1)
    known = ~np.isnan(targets[rows])
    cleared = np.where(known, targets[rows], 0)
    expected = precision_recall_fscore_support(
        cleared, decisions[rows] & known, average="samples", zero_division=0
    )
    ours = [figure(decisions, targets) for figure in AVERAGES["samples"]]
    assert ours == pytest.approx(list(expected[:3]))


def test_unlabelled_pictures_change_no_average(multi_label_case):
    _, targets, decisions = multi_label_case(3)
    more_targets = np.vstack([targets, np.full((2, targets.shape[1]), np.nan)])
    more_decisions = np.vstack([decisions, np.ones((2, targets.shape[1]), dtype=bool)])
    for figures in AVERAGES.values():
        for figure in figures:
            assert figure(more_decisions, more_targets) == figure(decisions, targets)


def test_a_wholly_ignored_class_is_left_out_of_the_macro_averages():
    targets = np.array([[1, np.nan], [0, np.nan]], dtype=np.float32)
    assert metrics.macro_f1(np.array([[True, True], [False, True]]), targets) == 1


@pytest.mark.parametrize("figure", [f for figures in AVERAGES.values() for f in figures])
def test_averages_are_nan_without_labels_and_raise_without_pictures(figure):
    assert np.isnan(figure(np.ones((2, 3), dtype=bool), np.full((2, 3), np.nan)))
    with pytest.raises(DataError, match="no pictures"):
        figure(np.ones((0, 3), dtype=bool), np.ones((0, 3)))
    with pytest.raises(DataError, match=r"\(2, 3\) do not fit targets of shape \(2, 4\)"):
        figure(np.ones((2, 3), dtype=bool), np.ones((2, 4)))
