import json

import numpy as np
import pytest

from finelens.evaluation.scores import read_scores
from finelens.models.folder import load_model
from finelens.training.finish import finish
from finelens.training.fit import Fit


@pytest.fixture
def finished(make_setting):
    setting = make_setting("train.best_by=[mean_average_precision,loss]")
    state = Fit(setting).run()
    finish(setting, state)
    return setting, state


def test_the_best_weights_become_the_model(finished):
    setting, state = finished
    saved = load_model(setting.run.model)
    best = state.best.load("mean_average_precision")
    for name, tensor in saved.classifier.state_dict().items():
        assert np.array_equal(tensor.numpy(), best[name].numpy()), name


def test_val_and_test_are_evaluated_with_the_saved_decision(finished):
    setting, _ = finished
    decision = load_model(setting.run.model).decision
    assert decision.chosen_on.startswith("val")
    for split, num_examples in (("val", 12), ("test", 12)):
        metrics = json.loads((setting.run.evaluation(split) / "metrics.json").read_text())
        assert metrics["num_examples"] == num_examples
        assert metrics["threshold"] == decision.threshold


def test_the_summary_tells_probe_best_and_times(finished):
    setting, state = finished
    summary = json.loads(setting.run.summary.read_text())
    assert set(summary["probe"]) >= {"loss", "mean_average_precision"}
    assert set(summary["best"]) == {"mean_average_precision", "loss"}
    assert summary["training_minutes"] > 0
    assert summary["samples_per_second"] > 0
    assert summary["num_parameters"] == setting.classifier.num_parameters
    assert summary["num_updates"] == state.position.update


def test_an_unlabelled_test_split_is_scored_and_handed_in_not_judged(make_setting, a2d_data):
    setting = make_setting(data=a2d_data)
    finish(setting, Fit(setting).run())
    assert setting.run.evaluated_splits == ["val"]
    folder = setting.run.evaluation("test")
    scores = read_scores(folder / "scores.parquet", setting.task)
    assert np.isnan(scores.targets_NK).all()
    decision = load_model(setting.run.model).decision
    expected_NK = decision.decide(decision.probabilities(setting.task, scores.logits_NK))
    np.testing.assert_array_equal(np.load(folder / "decisions.npy"), expected_NK)


def test_all_that_a_phase_trained_is_counted(make_setting):
    setting = make_setting("phases.1.freeze=backbone")
    finish(setting, Fit(setting).run())
    summary = json.loads(setting.run.summary.read_text())
    assert summary["num_trainable_parameters"] == summary["num_parameters"]
