import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finelens.evaluation.operating_points import operating_points

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(scores=SCORES, seed=st.integers(0, 1000))
def test_every_threshold_decides_exactly_its_points_cells(scores, seed):
    scores = np.array(scores)
    positive = np.random.default_rng(seed).random(len(scores)) < 0.5
    points = operating_points(scores, positive)
    assert len(points.values_G) == len(set(scores.tolist()))
    for g, threshold in enumerate(points.thresholds()):
        decided = scores >= threshold
        assert decided.sum() == points.counts.decided[g]
        assert (decided & positive).sum() == points.counts.correct[g]


def test_a_threshold_lies_halfway_between_two_scores():
    points = operating_points(np.array([0.2, 0.6, 0.6]), np.array([False, True, False]))
    assert points.thresholds() == pytest.approx([0.4, 0.1])


def test_no_cells_have_no_points():
    points = operating_points(np.array([]), np.array([], dtype=bool))
    assert points.num_positive == 0
    assert len(points.values_G) == 0
