import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from finelens.evaluation.average_precision import (
    average_precision,
    average_precision_11pt,
    mean_average_precision,
)


def devkit_eleven_points(scores, targets):
    """VOCevalcls.m, line by line; gt is 1, -1, or 0 for difficult."""
    truth = np.where(np.isnan(targets), 0, np.where(targets == 1, 1, -1))
    order = np.argsort(-scores, kind="stable")
    tp = np.cumsum(truth[order] > 0)
    fp = np.cumsum(truth[order] < 0)
    total = 0.0
    for level in range(11):
        precisions = [
            t / (t + f)
            for t, f in zip(tp.tolist(), fp.tolist(), strict=True)
            if t + f and 10 * t >= level * int((truth > 0).sum())
        ]
        total += max(precisions, default=0.0) / 11
    return total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_all_points_agree_with_scikit_learn(multi_label_case, seed):
    scores, targets, _ = multi_label_case(seed, ignored=0.2)
    for k, ours in enumerate(average_precision(scores, targets)):
        known = ~np.isnan(targets[:, k])
        if (targets[known, k] == 1).any():
            assert ours == pytest.approx(
                average_precision_score(targets[known, k], scores[known, k])
            )
        else:
            assert np.isnan(ours)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_eleven_points_agree_with_the_voc_devkit(multi_label_case, seed):
    scores, targets, _ = multi_label_case(seed, ignored=0.2)
    for k, ours in enumerate(average_precision_11pt(scores, targets)):
        if (targets[:, k] == 1).any():
            assert ours == pytest.approx(devkit_eleven_points(scores[:, k], targets[:, k]))
        else:
            assert np.isnan(ours)


def test_eleven_points_worked_by_hand():
    # ranks: hit, miss, hit, miss, miss, hit: precisions at hits 1, 2/3, 1/2 for recall 1/3, 2/3, 1
    targets = np.array([[1, 0, 1, 0, 0, 1]]).T.astype(float)
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]]).T
    # levels 0-.3 see 1, .4-.6 see 2/3, .7-1 see 1/2
    assert average_precision_11pt(scores, targets)[0] == pytest.approx((4 + 3 * 2 / 3 + 4 / 2) / 11)


def test_a_recall_of_exactly_three_tenths_reaches_the_level():
    targets = np.array([[1] * 3 + [0] * 90 + [1] * 7]).T.astype(float)
    scores = -np.arange(100.0)[:, None]
    assert average_precision_11pt(scores, targets)[0] == pytest.approx((4 + 7 * 0.1) / 11)


def test_a_difficult_picture_changes_neither_average_precision():
    scores = np.array([[0.9], [0.8], [0.7], [0.6]])
    targets = np.array([[np.nan], [1.0], [np.nan], [0.0]])
    assert average_precision(scores, targets)[0] == 1
    assert average_precision_11pt(scores, targets)[0] == 1


def test_the_mean_takes_the_classes_with_positives():
    scores = np.array([[0.9, 0.2], [0.1, 0.3]])
    assert mean_average_precision(scores, np.array([[1.0, 0.0], [0.0, 0.0]])) == 1
    assert np.isnan(mean_average_precision(scores, np.zeros((2, 2))))
