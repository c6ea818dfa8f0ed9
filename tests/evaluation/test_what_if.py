import time

import numpy as np
import pytest
from sklearn.metrics import (
    confusion_matrix,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
)

from finelens.decision import Decision
from finelens.errors import DataError
from finelens.evaluation.summary import summarise
from finelens.evaluation.what_if import WhatIf
from finelens.task import TaskKind

NAN = np.nan


@pytest.mark.parametrize("seed", range(8))
def test_multi_label_figures_are_those_of_scikit_learn(trained_scores, seed):
    scores = trained_scores(60, seed=seed)
    decision = Decision(temperature=1.3, thresholds=(0.5,) * 5)
    thresholds_K = np.random.default_rng(seed).random(5)
    found = WhatIf(scores, decision).of(thresholds_K)
    said_NK = decision.probabilities(scores.task, scores.logits_NK) >= thresholds_K
    expected = precision_recall_fscore_support(scores.targets_NK, said_NK, zero_division=0)
    for ours, theirs in zip(
        (found.precision_K, found.recall_K, found.f1_K, found.support_K), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    assert np.array_equal(found.decided_K, said_NK.sum(axis=0))
    assert np.array_equal(
        found.confusion_K22, multilabel_confusion_matrix(scores.targets_NK, said_NK)
    )
    assert found.confusion is None
    for average, name in (("samples", "example"), ("macro", "macro"), ("micro", "micro")):
        figures = precision_recall_fscore_support(
            scores.targets_NK, said_NK, average=average, zero_division=0
        )
        ours = [found.averages[f"{name}_{figure}"] for figure in ("precision", "recall", "f1")]
        np.testing.assert_allclose(ours, figures[:3])


@pytest.mark.parametrize("seed", range(4))
def test_multi_class_confusion_has_a_column_for_saying_nothing(trained_scores, seed):
    scores = trained_scores(60, kind=TaskKind.MULTI_CLASS, seed=seed, sureness=1.0)
    decision = Decision(temperature=1.3)
    thresholds_K = np.random.default_rng(seed).uniform(0.2, 0.9, 7)
    found = WhatIf(scores, decision).of(thresholds_K)
    probabilities_NK = decision.probabilities(scores.task, scores.logits_NK)
    best_N = probabilities_NK.argmax(axis=1)
    is_said_N = probabilities_NK.max(axis=1) >= thresholds_K[best_N]
    assert 0 < is_said_N.sum() < 60
    truth_N, said_N = scores.targets_NK.argmax(axis=1), np.where(is_said_N, best_N, 7)
    assert np.array_equal(found.confusion, confusion_matrix(truth_N, said_N, labels=range(8))[:7])
    expected = precision_recall_fscore_support(truth_N, said_N, labels=range(7), zero_division=0)
    np.testing.assert_allclose(
        [found.precision_K, found.recall_K, found.f1_K, found.support_K], expected
    )
    assert found.averages["accuracy"] == pytest.approx((truth_N == said_N).mean())


@pytest.mark.parametrize("kind", list(TaskKind))
@pytest.mark.parametrize("value", [0.0, 0.3, 0.62, 1.0])
def test_the_figures_are_those_that_are_evaluated_once_the_thresholds_are_saved(
    trained_scores, kind, value
):
    scores = trained_scores(kind=kind)
    scores.targets_NK[3] = NAN
    if kind is TaskKind.MULTI_LABEL:
        scores.targets_NK[5:20, 1] = NAN
        scores.targets_NK[:, 4] = NAN
    before = Decision(thresholds=(0.5,) * 5) if kind is TaskKind.MULTI_LABEL else Decision()
    name = scores.task.classes[2]
    after = before.edited(scores.task, {name: value}, at="now", previous="decision-0001.json")
    found = WhatIf(scores, before).of_one(name, value)
    expected = summarise(scores, after, resamples=2)
    for column, ours in (
        ("precision", found.precision_K), ("recall", found.recall_K), ("f1", found.f1_K),
        ("positives", found.support_K), ("decided", found.decided_K),
        ("threshold", found.thresholds_K),
    ):  # fmt: skip
        np.testing.assert_allclose(ours, [row[column] for row in expected["per_class"]])
    for average in ("example", "macro", "micro"):
        for figure, theirs in expected[average].items():
            assert found.averages[f"{average}_{figure}"] == pytest.approx(theirs)
    assert found.averages["accuracy"] == pytest.approx(expected["accuracy"])
    if kind is TaskKind.MULTI_CLASS:
        assert found.confusion is not None
        assert found.confusion[:, :-1].tolist() == expected["confusion_matrix"]


def test_one_threshold_for_all_is_the_sweep_s(trained_scores):
    scores, decision = trained_scores(), Decision(thresholds=(0.5,) * 5)
    what_if = WhatIf(scores, decision)
    for row in summarise(scores, decision, resamples=2)["sweep"]:
        found = what_if.of_all(row["threshold"]).averages
        for name, value in row.items():
            assert name == "threshold" or found[name] == pytest.approx(value)


def test_0_by_0_is_0_and_a_class_of_which_nothing_is_known_is_nan(scores_of):
    scores = scores_of(
        [[2, -2, 1], [1, -3, 1], [NAN, NAN, NAN]],
        [[0, 1, NAN], [0, 0, NAN], [1, 1, 1]],
        errors=[None, None, "truncated"],
    )
    found = WhatIf(scores, Decision(thresholds=(0.5,) * 3)).of_all(0.9)
    np.testing.assert_array_equal(found.precision_K, [0, 0, NAN])
    np.testing.assert_array_equal(found.recall_K, [0, 0, NAN])
    np.testing.assert_array_equal(found.f1_K, [0, 0, NAN])
    assert found.support_K.tolist() == [0, 1, 0]
    assert found.confusion_K22.tolist() == [[[2, 0], [0, 0]], [[1, 0], [1, 0]], [[0, 0], [0, 0]]]


def test_the_decision_s_own_thresholds_are_where_it_begins(trained_scores):
    scores = trained_scores()
    own = (0.1, 0.2, 0.3, 0.4, 0.5)
    what_if = WhatIf(scores, Decision(thresholds=own))
    assert what_if.own_thresholds.tolist() == list(own)
    assert what_if.of_one("class-1", 0.9).thresholds_K.tolist() == [0.1, 0.9, 0.3, 0.4, 0.5]
    assert what_if.own_thresholds.tolist() == list(own)
    assert what_if.num_examples == 80


def test_what_cannot_be_judged_is_told(trained_scores, scores_of):
    with pytest.raises(DataError, match="no readable picture has labels"):
        WhatIf(scores_of([[1, 2]], [[NAN, NAN]]), Decision(thresholds=(0.5, 0.5)))
    what_if = WhatIf(trained_scores(), Decision(thresholds=(0.5,) * 5))
    with pytest.raises(DataError, match='class "clas-1" is unknown'):
        what_if.of_one("clas-1", 0.5)
    with pytest.raises(DataError, match="do not fit"):
        what_if.of(np.array([0.5, 0.5]))


@pytest.mark.parametrize("kind", list(TaskKind))
def test_it_follows_a_slider_on_10_000_pictures_of_100_classes(scores_of, kind):
    generator = np.random.default_rng(0)
    targets_NK = generator.random((10_000, 100)) < 0.05
    if kind is TaskKind.MULTI_CLASS:
        targets_NK = np.eye(100)[generator.integers(0, 100, 10_000)]
    scores = scores_of(generator.normal(size=(10_000, 100)), targets_NK, kind=kind)
    decision = Decision(thresholds=(0.5,) * 100) if kind is TaskKind.MULTI_LABEL else Decision()
    what_if = WhatIf(scores, decision)
    # the processor's time of the quickest of some: others work on this machine too
    times = []
    for step in range(10):
        began = time.process_time()
        what_if.of_one("class-7", step / 10)
        times.append(time.process_time() - began)
    assert min(times) < 0.02
