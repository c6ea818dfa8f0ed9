import json

import pytest
import yaml

from finelens.reporting.convergence import Convergence, count_iterations, find_convergence
from finelens.reporting.record import read_record
from finelens.runs.log import MetricsLog


def converge(run, values, *, recipe=None, probe=0.1):
    """Return the convergence of a run whose validation metric took these values."""
    run.metrics_log.unlink()
    log = MetricsLog(run.metrics_log)
    name = "mean_average_precision"
    log.write({name: probe}, step=0, epoch=0, phase="probe", split="val")
    for epoch, value in enumerate(values, start=1):
        log.write({name: value}, step=epoch, epoch=epoch, phase="a", split="val")
    if recipe is not None:
        run.recipe.write_text(yaml.safe_dump({"train": recipe}))
    return find_convergence(read_record(run))


@pytest.mark.parametrize(
    ("epochs", "batch_size", "accumulate", "iterations"),
    [(87, 24, 3, 5739.58), (44, 64, 1, 3265.63)],
    ids=["EfficientNet-B7", "SE-ResNeXt101"],
)
def test_iterations_are_those_of_the_a2d_reports(epochs, batch_size, accumulate, iterations):
    counted = count_iterations(
        epochs, num_samples=4750, batch_size=batch_size, accumulate=accumulate
    )
    assert counted == pytest.approx(iterations, abs=0.01)


def test_convergence_is_the_first_epoch_within_a_hundredth_of_the_best(make_run):
    found = converge(make_run(), [0.5, 0.7, 0.791, 0.793, 0.6, 0.8, 0.799])
    assert found is not None
    assert (found.epoch, found.value) == (4, 0.793)


def test_iterations_follow_from_the_manifest_and_the_recipe(make_run):
    # two training pictures in the run's manifest
    recipe = {"batch_size": 4, "accumulate": 2}
    assert converge(make_run(), [0.5, 0.8, 0.8], recipe=recipe) == Convergence(2, 0.5, 0.8)


def test_iterations_of_epochs_with_a_length_of_their_own_are_counted(make_run):
    recipe = {"batch_size": 4, "accumulate": 2, "batches_per_epoch": 6}
    assert converge(make_run(), [0.5, 0.8, 0.8], recipe=recipe) == Convergence(2, 6.0, 0.8)


def test_a_recipe_that_says_nothing_has_the_defaults(make_run):
    found = converge(make_run(), [0.5, 0.8])
    assert found is not None
    assert found.iterations == 2 * 2 / 32


def test_the_probe_is_no_epoch(make_run):
    found = converge(make_run(), [0.5, 0.7], probe=0.9)
    assert found is not None
    assert found.epoch == 2


def test_nothing_converged_where_the_probe_was_kept(make_run):
    best = {"mean_average_precision": {"value": 0.9, "epoch": 0}}
    assert converge(make_run(summary={"best": best}), [0.5, 0.7], probe=0.9) is None


def test_without_epochs_there_is_no_convergence(make_run):
    assert converge(make_run(), []) is None


def test_without_the_manifest_there_is_no_convergence(make_run):
    run = make_run()
    run.manifest.unlink()
    assert find_convergence(read_record(run)) is None


def test_convergence_follows_the_metric_that_chose_the_weights(make_run):
    run = make_run()
    best = {"loss": {"value": 0.3, "epoch": 3}, "accuracy": {"value": 0.9, "epoch": 1}}
    run.summary.write_text(json.dumps(json.loads(run.summary.read_text()) | {"best": best}))
    run.metrics_log.unlink()
    log = MetricsLog(run.metrics_log)
    for epoch, (loss, accuracy) in enumerate([(0.9, 0.9), (0.302, 0.8), (0.3, 0.7)], start=1):
        values = {"loss": loss, "accuracy": accuracy, "mean_average_precision": accuracy}
        log.write(values, step=epoch, epoch=epoch, phase="a", split="val")
    found = find_convergence(read_record(run))
    assert found is not None
    assert (found.epoch, found.value) == (2, 0.302)
