import pytest

from finelens.reporting.early_stop import find_early_stop
from finelens.reporting.record import read_record
from finelens.reporting.report import write_report
from finelens.task import TaskKind

# the runs' accuracy is 0.65, 0.70 and 0.75 over three epochs, their val loss 1.2, 0.6 and 0.4
PLANNED = {"phases": [{"epochs": 2}, {"epochs": 18}]}


def stop_of(make_run, *, stopped, **stop):
    run = make_run(kind=TaskKind.MULTI_CLASS, recipe=PLANNED | {"stop": stop},
                   summary={"stopped": stopped})  # fmt: skip
    return find_early_stop(read_record(run))


def test_reaching_the_target_is_told_with_epoch_and_value(make_run):
    stop = stop_of(make_run, stopped="accuracy reached 0.74", target=0.74)
    assert (stop.metric, stop.epoch, stop.target) == ("accuracy", 3, 0.74)
    assert stop.words == (
        "Training stopped early, after epoch 3 of 20: accuracy reached 75.0%, and 74.0% was enough."
    )


def test_lost_patience_is_told_with_the_epoch_that_was_best(make_run):
    stop = stop_of(make_run, stopped="learning_rate not better for 2 epochs",
                   metric="loss", patience=2)  # fmt: skip
    assert stop.metric == "loss"
    assert "loss was not better than the 0.4000 of epoch 3" in stop.words


def test_a_target_never_reached_is_said(make_run):
    stop = stop_of(make_run, stopped=None, target=0.9)
    assert stop.epoch is None
    assert stop.words == "Accuracy of 90.0% would have ended it; it was not reached."


@pytest.mark.parametrize("stop", [{}, {"patience": None, "target": None}])
def test_a_recipe_that_never_stops_says_nothing(make_run, stop):
    assert stop_of(make_run, stopped=None, **stop) is None


def test_patience_that_was_never_lost_says_nothing(make_run):
    assert stop_of(make_run, stopped=None, patience=4).words == ""


def test_the_report_marks_the_target_and_the_epoch_of_the_stop(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS, recipe={"stop": {"target": 0.74}},
                   summary={"stopped": "accuracy reached 0.74"})  # fmt: skip
    page = write_report(run).read_text()
    assert "accuracy reached 75.0%, and 74.0% was enough" in page
    assert '<li class="dotted" style="--of: var(--ink)">target 74.0%</li>' in page
    assert '<li class="upright" style="--of: var(--ink)">stopped after epoch 3</li>' in page
