import numpy as np

from finelens.evaluation.counts import Counts, count_cells


def test_nan_targets_count_as_nothing():
    counts = count_cells(np.array([[True, True, False]]), np.array([[1.0, np.nan, 1.0]])).sum()
    assert (counts.correct, counts.decided, counts.true) == (1, 1, 2)


def test_nothing_decided_and_nothing_true_gives_zero_without_a_warning():
    nothing = Counts(np.zeros(2), np.zeros(2), np.zeros(2))
    with np.errstate(all="raise"):
        for figure in (nothing.precision, nothing.recall, nothing.f1):
            assert (figure == 0).all()
