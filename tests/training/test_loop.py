import numpy as np
import pytest

from finelens.runs.log import read_log
from finelens.training.fit import Fit


def test_rate_follows_the_schedule_within_an_epoch(make_setting):
    setting = make_setting(
        "phases.0.schedule={name: cosine}",
        "optimizer.lr=0.001",
        "phases.1.lr=0.5",
        "phases.1.schedule={name: constant}",
    )
    Fit(setting).run()
    rows = read_log(setting.run.metrics_log)
    rates = [row["value"] for row in rows if row["name"] == "learning_rate"]
    middle_of_last_update = np.cos(np.pi * (2.5 / 3)) / 2 + 0.5
    assert rates == pytest.approx([0.001 * middle_of_last_update, 0.5])
