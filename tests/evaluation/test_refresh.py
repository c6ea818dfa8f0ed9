import json

import numpy as np
import polars as pl
import pytest

from finelens.decision import Decision
from finelens.errors import RunError
from finelens.evaluation.decisions import write_decisions
from finelens.evaluation.evaluate import evaluate, read_evaluation, write_evaluation
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.refresh import is_current, refresh_evaluation
from finelens.evaluation.scores import write_scores
from finelens.evaluation.thresholds import choose_decision
from finelens.task import Task, TaskKind


@pytest.fixture(params=list(TaskKind))
def evaluated(request, trained_scores, tmp_path):
    """Return scores, their decision, and the folder of their evaluation."""
    scores = trained_scores(kind=request.param)
    decision = choose_decision(scores)
    evaluation = evaluate(scores, decision, split="val", seed=3, resamples=20)
    write_evaluation(tmp_path, evaluation, scores, decision)
    return scores, decision, tmp_path


def edited(decision, task, value=0.7):
    return decision.edited(task, {"class-1": value}, at="now", previous="decision-0001.json")


def test_a_refreshed_evaluation_is_the_one_of_the_new_decision(evaluated):
    scores, decision, folder = evaluated
    new = edited(decision, scores.task)
    assert not is_current(read_evaluation(folder).metrics, new)
    refresh_evaluation(folder, scores.task, new)
    expected = evaluate(scores, new, split="val", seed=3, resamples=20)
    found = read_evaluation(folder)
    assert found.metrics == json.loads(json.dumps(expected.metrics))
    assert is_current(found.metrics, new)
    for name in ("curves", "top", "mistakes"):
        assert getattr(found, name).equals(getattr(expected, name))


def test_what_no_threshold_changes_stays(evaluated):
    scores, decision, folder = evaluated
    before = read_evaluation(folder).metrics
    stored = pl.read_parquet(folder / "scores.parquet")
    refresh_evaluation(folder, scores.task, edited(decision, scores.task))
    after = read_evaluation(folder).metrics
    for name in ("mean_average_precision", "roc_auc", "calibration", "num_examples", "bootstrap"):
        assert after[name] == before[name]
    assert pl.read_parquet(folder / "scores.parquet").equals(stored)
    assert after["macro"] != before["macro"]


def test_a_current_evaluation_is_not_touched(evaluated):
    scores, decision, folder = evaluated
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    refresh_evaluation(folder, scores.task, decision)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_who_set_a_threshold_and_when_does_not_matter(evaluated):
    scores, decision, folder = evaluated
    new = edited(decision, scores.task)
    refresh_evaluation(folder, scores.task, new)
    again = new.edited(scores.task, {"class-1": 0.7}, at="later", previous="decision-0002.json")
    assert is_current(read_evaluation(folder).metrics, again)


@pytest.mark.parametrize(
    "change", [{"temperature": 1.01}, {"thresholds": None}, {"tempreature": 1}, {"temperature": 0}]
)
def test_figures_of_another_or_a_foreign_decision_are_not_current(change):
    decision = Decision(thresholds=(0.5, 0.5), threshold=0.5)
    metrics = {"decision": decision.to_json() | {"missed_goals": []}}
    assert is_current(metrics, decision)
    metrics["decision"] |= change
    assert not is_current(metrics, decision)


def test_of_a_split_without_labels_the_decisions_are_written_again(trained_scores, tmp_path):
    scores = trained_scores(12)
    scores.targets_NK[:] = np.nan
    decision = Decision(thresholds=(0.5,) * 5, threshold=0.5)
    write_scores(tmp_path / "scores.parquet", scores, decision)
    write_decisions(tmp_path / "decisions.npy", predictions_table(scores, decision))
    new = edited(decision, scores.task, value=1.0)
    refresh_evaluation(tmp_path, scores.task, new)
    expected = new.decide(new.probabilities(scores.task, scores.logits_NK))
    assert np.array_equal(np.load(tmp_path / "decisions.npy"), expected)
    assert not expected[:, 1].any()
    assert pl.read_csv(tmp_path / "decisions.csv")["class-1"].sum() == 0


def test_a_folder_without_scores_is_left_alone(tmp_path):
    refresh_evaluation(tmp_path / "none", Task(TaskKind.MULTI_LABEL, ("a",)), Decision())
    assert list(tmp_path.iterdir()) == []


def test_scores_of_another_model_are_told(evaluated):
    _, decision, folder = evaluated
    other = Task(TaskKind.MULTI_LABEL, ("a", "b", "c"))
    new = Decision(decision.temperature, (0.1, 0.2, 0.3))
    with pytest.raises(RunError, match="the model has 3 classes"):
        refresh_evaluation(folder, other, new)
