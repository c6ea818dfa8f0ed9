import json

import pytest

from finelens.reporting.calibration_results import calibration_results
from finelens.reporting.record import read_record


def results(run, **errors):
    for split, (before, after) in errors.items():
        path = run.evaluation(split) / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["calibration"] |= {"ece_before": before, "ece_after": after}
        path.write_text(json.dumps(metrics))
    return calibration_results(read_record(run), chosen_on="val (9 pictures)")


@pytest.mark.parametrize(
    ("val", "test", "words"),
    [
        ((0.05, 0.04), (0.03, 0.041), "Scaling made it worse on test (3.0% to 4.1%): "),
        ((0.02, 0.03), (0.03, 0.04), "worse on test (3.0% to 4.0%), val (2.0% to 3.0%): "),
        ((0.05, 0.04), (0.03, 0.0302), ""),
        ((0.05, 0.04), (None, 0.03), ""),
    ],
)
def test_calibration_that_got_worse_is_said(make_run, val, test, words):
    found = results(make_run(), val=val, test=test)
    assert words in found["calibration_worse"]
    assert bool(found["calibration_worse"]) == bool(words)
    assert "chosen on val (9 pictures)" in found["calibration_lead"]
    assert [(row["before"], row["after"]) for row in found["calibration"]] == [test, val]


def test_a_recipe_that_does_not_calibrate_is_not_blamed(make_run):
    run = make_run(recipe={"decide": {"calibrate": False}})
    found = results(run, test=(0.03, 0.05))
    assert found["calibration_worse"] == ""
    assert "does not calibrate" in found["calibration_lead"]
