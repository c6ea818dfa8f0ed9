import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from finelens.evaluation.roc import mean_roc_auc, micro_roc_auc, roc_auc


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_roc_auc_agrees_with_scikit_learn(multi_label_case, seed):
    scores, targets, _ = multi_label_case(seed, ignored=0.2)
    values = roc_auc(scores, targets)
    for k, ours in enumerate(values):
        known = ~np.isnan(targets[:, k])
        if len(set(targets[known, k])) == 2:
            assert ours == pytest.approx(roc_auc_score(targets[known, k], scores[known, k]))
        else:
            assert np.isnan(ours)
    if not np.isnan(values).all():
        assert mean_roc_auc(scores, targets) == pytest.approx(np.nanmean(values))


def test_roc_auc_is_nan_for_a_single_picture():
    assert np.isnan(roc_auc(np.array([[0.3]]), np.array([[1.0]]))).all()
    assert np.isnan(mean_roc_auc(np.array([[0.3]]), np.array([[1.0]])))


@pytest.mark.parametrize("seed", range(8))
def test_micro_roc_auc_pools_all_known_cells_as_scikit_learn_does(multi_label_case, seed):
    scores, targets, _ = multi_label_case(seed, ignored=0.2)
    known = ~np.isnan(targets)
    if len(set(targets[known])) == 2:
        expected = roc_auc_score(targets[known], scores[known])
        assert micro_roc_auc(scores, targets) == pytest.approx(expected)
    else:
        assert np.isnan(micro_roc_auc(scores, targets))
    assert np.isnan(micro_roc_auc(scores, np.ones_like(scores)))
