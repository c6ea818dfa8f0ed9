import json
import math

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from finelens.decision import Decision
from finelens.errors import DataError, RunError
from finelens.evaluation.evaluate import (
    evaluate,
    main_metric,
    quick_metric_names,
    quick_metrics,
    read_evaluation,
    write_evaluation,
)
from finelens.evaluation.scores import Scores, read_scores
from finelens.evaluation.thresholds import choose_decision
from finelens.task import TaskKind

NAN = np.nan


def all_fractions(value):
    """Yield every float of nested metrics, but for the temperature."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "temperature":
                yield from all_fractions(item)
    elif isinstance(value, list):
        for item in value:
            yield from all_fractions(item)
    elif isinstance(value, float):
        yield value


def test_multi_label_metrics_agree_with_scikit_learn(trained_scores):
    scores = trained_scores()
    decision = choose_decision(scores)
    content = evaluate(scores, decision, split="test", resamples=50).metrics
    probabilities = decision.probabilities(scores.task, scores.logits_NK)
    found, targets = probabilities >= np.array(decision.thresholds), scores.targets_NK
    for name, average in (("example", "samples"), ("macro", "macro"), ("micro", "micro")):
        expected = reference.precision_recall_fscore_support(
            targets, found, average=average, zero_division=0
        )
        ours = [content[name][figure] for figure in ("precision", "recall", "f1")]
        assert ours == pytest.approx(list(expected[:3]))
    assert content["accuracy"] == pytest.approx(reference.accuracy_score(targets, found))
    mean_precision = reference.average_precision_score(targets, probabilities)
    assert content["mean_average_precision"] == pytest.approx(mean_precision)
    assert content["roc_auc"] == pytest.approx(reference.roc_auc_score(targets, probabilities))
    assert content["threshold"] == decision.threshold
    assert list(content["thresholds"].values()) == list(decision.thresholds)
    assert [row["threshold"] for row in content["per_class"]] == list(decision.thresholds)
    assert [row["positives"] for row in content["per_class"]] == targets.sum(axis=0).tolist()
    assert content["calibration"]["ece_after"] < content["calibration"]["ece_before"]
    assert len(content["sweep"]) == 21
    assert "confusion_matrix" not in content


def test_multi_class_metrics_hold_top_5_and_the_confusion(trained_scores):
    scores = trained_scores(kind=TaskKind.MULTI_CLASS)
    decision = choose_decision(scores)
    content = evaluate(scores, decision, split="test", resamples=50).metrics
    truth, found = scores.targets_NK.argmax(axis=1), scores.logits_NK.argmax(axis=1)
    expected = reference.accuracy_score(truth, found)
    assert content["accuracy"] == content["example"]["f1"] == pytest.approx(expected)
    top_5 = reference.top_k_accuracy_score(truth, scores.logits_NK, k=5)
    assert content["top5_accuracy"] == pytest.approx(top_5)
    assert content["confusion_matrix"] == reference.confusion_matrix(truth, found).tolist()
    assert content["threshold"] is None
    assert content["thresholds"] == {}
    assert content["sweep"][0]["micro_precision"] == pytest.approx(expected)
    assert content["sweep"][-1]["micro_recall"] < expected


@pytest.mark.parametrize("kind", TaskKind)
def test_all_figures_are_fractions(trained_scores, kind):
    scores = trained_scores(kind=kind)
    content = evaluate(scores, choose_decision(scores), split="val", resamples=50).metrics
    assert all(0 <= value <= 1 for value in all_fractions(content))
    for name in ("accuracy", "mean_average_precision"):
        low, high = content["intervals"][name]
        assert low < content[name] < high


def test_pictures_that_cannot_be_judged_are_counted_and_change_no_figure(trained_scores):
    scores = trained_scores(30)
    decision = choose_decision(scores)
    extra_logits, extra_targets = np.full((3, 5), 2.0), np.full((3, 5), NAN)
    extra_logits[0] = NAN
    extra_targets[0] = 1
    more = Scores(
        ids=(*scores.ids, "broken", "unknown-1", "unknown-2"),
        paths=(*scores.paths, "/b", "/u1", "/u2"),
        logits_NK=np.vstack([scores.logits_NK, extra_logits]).astype(np.float32),
        targets_NK=np.vstack([scores.targets_NK, extra_targets]).astype(np.float32),
        errors=(*scores.errors, "truncated", None, None),
        task=scores.task,
    )
    content = evaluate(more, decision, split="val", resamples=20).metrics
    plain = evaluate(scores, decision, split="val", resamples=20).metrics
    assert (content["num_unreadable"], content["num_unlabelled"]) == (1, 2)
    assert content["num_examples"] == 30
    changed = {"num_unreadable", "num_unlabelled"}
    assert {k: v for k, v in content.items() if k not in changed} == {
        k: v for k, v in plain.items() if k not in changed
    }


def test_pictures_without_a_true_class_are_counted(scores_of):
    scores = scores_of([[1, 1], [-1, -1], [1, 1]], [[1, 0], [0, 0], [0, NAN]])
    content = evaluate(scores, Decision(thresholds=(0.5, 0.5)), split="val").metrics
    assert content["num_examples"] == 3
    assert content["num_without_labels"] == 2
    assert content["num_classes_without_positives"] == 1


@pytest.mark.parametrize("kind", TaskKind)
def test_a_single_picture_gives_null_where_nothing_can_be_said(scores_of, tmp_path, kind):
    scores = scores_of([[2, -1, 0]], [[1, 0, 0]], kind=kind)
    decision = choose_decision(scores)
    evaluation = evaluate(scores, decision, split="test")
    write_evaluation(tmp_path, evaluation, scores, decision)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["accuracy"] == content["mean_average_precision"] == 1
    assert content["roc_auc"] is None
    assert content["intervals"]["accuracy"] == [None, None]
    assert [row["average_precision"] for row in content["per_class"]] == [1, None, None]


def test_a_class_ignored_everywhere_has_null_figures(scores_of):
    scores = scores_of([[2, 1], [-2, 1]], [[1, NAN], [0, NAN]])
    content = evaluate(scores, Decision(thresholds=(0.5, 0.5)), split="val").metrics
    assert content["macro"]["f1"] == 1
    ignored = content["per_class"][1]
    assert (ignored["positives"], ignored["decided"]) == (0, 0)
    assert [ignored[name] for name in ("precision", "recall", "f1", "roc_auc")] == [None] * 4


def test_a_missed_precision_goal_is_named_in_the_metrics(scores_of):
    scores = scores_of([[2, 3], [1, -3], [0, -3]], [[0, 1], [1, 0], [0, 0]])
    decision = choose_decision(scores, goal="precision>=0.9", min_positives=0)
    content = evaluate(scores, decision, split="val").metrics
    assert content["decision"]["missed_goals"] == ["class-0"]


def test_an_evaluation_without_labels_is_an_error(scores_of):
    scores = scores_of(
        [[1, 2], [3, 4], [NAN, NAN]], np.full((3, 2), NAN), errors=[None, None, "empty"]
    )
    with pytest.raises(DataError, match=r'"test" has no picture .* 2 without labels, 1 unreadable'):
        evaluate(scores, Decision(thresholds=(0.5, 0.5)), split="test")


@pytest.mark.parametrize("kind", TaskKind)
def test_an_evaluation_survives_writing_and_reading(trained_scores, tmp_path, kind):
    scores = trained_scores(kind=kind)
    decision = choose_decision(scores)
    evaluation = evaluate(scores, decision, split="val", resamples=20)
    write_evaluation(tmp_path, evaluation, scores, decision)
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "curves.parquet", "metrics.json", "mistakes.parquet", "scores.parquet", "top50.parquet",
    ]  # fmt: skip
    back = read_evaluation(tmp_path)
    assert (back.split, back.metrics) == ("val", evaluation.metrics)
    for name in ("curves", "top", "mistakes", "sweep"):
        assert getattr(back, name).equals(getattr(evaluation, name))
    again = evaluate(
        read_scores(tmp_path / "scores.parquet", scores.task), decision, split="val", resamples=20
    )
    assert again.metrics == evaluation.metrics


def test_the_top_table_holds_50_pictures_a_class(trained_scores):
    scores = trained_scores(80)
    top = evaluate(scores, choose_decision(scores), split="val", resamples=20).top
    assert top.group_by("class").len()["len"].to_list() == [50] * 5
    assert top["is_positive"].dtype == pl.Boolean


def test_reading_a_missing_evaluation_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"metrics\.json cannot be read"):
        read_evaluation(tmp_path)


@pytest.mark.parametrize("kind", TaskKind)
def test_quick_metrics_are_those_of_the_evaluation(trained_scores, kind):
    scores = trained_scores(kind=kind)
    decision = choose_decision(scores)
    quick = quick_metrics(scores, decision)
    content = evaluate(scores, decision, split="val", resamples=20).metrics
    assert set(quick) == set(quick_metric_names(scores.task))
    assert main_metric(scores.task) in quick
    for name, value in quick.items():
        group, _, figure = name.partition("_")
        expected = content[name] if name in content else content[group][figure]
        assert math.isclose(value, expected)


def test_quick_metrics_decide_by_one_half_unless_told(trained_scores):
    scores = trained_scores()
    half = Decision(thresholds=(0.5,) * 5)
    assert quick_metrics(scores) == quick_metrics(scores, half)
