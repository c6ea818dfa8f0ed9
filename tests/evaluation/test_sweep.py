import numpy as np
import pytest

from finelens.evaluation import metrics
from finelens.evaluation.sweep import sweep


@pytest.mark.parametrize("seed", range(5))
def test_every_row_of_the_sweep_holds_the_metrics_at_its_threshold(multi_label_case, seed):
    scores, targets, _ = multi_label_case(seed, ignored=0.1)
    table = sweep(scores, targets)
    assert table["threshold"].to_list() == pytest.approx(np.linspace(0, 1, 21))
    for row in table.iter_rows(named=True):
        decisions = scores >= row["threshold"]
        for name in table.columns[1:]:
            assert row[name] == pytest.approx(getattr(metrics, name)(decisions, targets))


def test_the_sweep_never_decides_a_cell_of_minus_one():
    table = sweep(np.array([[0.7, -1.0]]), np.array([[1.0, 0.0]]))
    assert table["micro_precision"].to_list() == [1.0] * 15 + [0.0] * 6
