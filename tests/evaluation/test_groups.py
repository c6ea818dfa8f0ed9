"""Results per group, held against plain loops, numpy's own formulas and simulated data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as reference

from finelens.decision import Decision
from finelens.evaluation.evaluate import evaluate, read_evaluation, write_evaluation
from finelens.evaluation.groups import (
    alike_p_value,
    deviation_by_chance,
    group_figure,
    group_intervals,
    group_table,
    summarise_groups,
)
from finelens.evaluation.intervals import headline_intervals
from finelens.evaluation.scores import read_scores, write_scores
from finelens.evaluation.thresholds import choose_decision
from finelens.task import TaskKind


def grouped(scores, groups):
    return replace(scores, groups=tuple(groups))


def dealt(num_examples, num_groups=9, seed=0):
    numbers = np.random.default_rng(seed).integers(0, num_groups, num_examples)
    return [f"g{number}" for number in numbers]


def ends(intervals):
    return {
        (name, place): end for name, both in intervals.items() for place, end in enumerate(both)
    }


@pytest.mark.parametrize("kind", TaskKind)
def test_each_groups_figures_are_those_of_scikit_learn_on_its_rows(trained_scores, kind):
    groups = dealt(80)
    scores = grouped(trained_scores(80, kind=kind), groups)
    decision = choose_decision(scores)
    found = decision.decide(decision.probabilities(scores.task, scores.logits_NK))
    table = group_table(scores, decision)
    assert set(table["group"]) == set(groups)
    for row in table.iter_rows(named=True):
        own = np.array([group == row["group"] for group in groups])
        truth = scores.targets_NK[own]
        assert row["num_examples"] == own.sum()
        assert row["accuracy"] == pytest.approx(reference.accuracy_score(truth, found[own]))
        expected = reference.f1_score(truth, found[own], average="samples", zero_division=0)
        assert row["example_f1"] == pytest.approx(expected)
        assert row["labels"] == scores.task.names(truth.any(axis=0))


def test_the_worst_group_is_first_and_of_equals_the_larger(scores_of):
    right, wrong = [3, -3], [-3, 3]
    scores = scores_of([right, right, right, wrong, wrong, right, wrong], [[1, 0]] * 7,
                       kind=TaskKind.MULTI_CLASS)  # fmt: skip
    table = group_table(grouped(scores, ["a", "b", "b", "c", "d", "d", "c"]), Decision())
    assert list(zip(table["group"], table["accuracy"], strict=True)) == [
        ("c", 0.0), ("d", 0.5), ("b", 1.0), ("a", 1.0),
    ]  # fmt: skip


def test_examples_that_cannot_be_judged_or_have_no_group_are_in_none(scores_of):
    nan = np.nan
    scores = scores_of(
        [[1, 0], [nan, nan], [1, 0], [0, 1], [1, 0]],
        [[1, 0], [1, 0], [nan, nan], [1, 0], [1, 0]],
        kind=TaskKind.MULTI_CLASS,
        errors=[None, "cut", None, None, None],
    )
    scores = grouped(scores, ["a", "a", "b", None, "a"])
    assert group_table(scores, Decision()).rows() == [("a", 2, ["class-0"], 1.0, 1.0)]
    summary = summarise_groups(scores, Decision(), resamples=20)
    assert (summary["num_groups"], summary["num_without_group"]) == (1, 1)
    assert (summary["mean"], summary["figure"]) == (1.0, "accuracy")
    assert np.isnan(summary["deviation"])


@pytest.mark.parametrize("groups", [None, [None] * 20, [f"g{n}" for n in range(20)]])
def test_data_without_shared_groups_have_no_results_per_group(trained_scores, groups):
    scores = trained_scores(20)
    scores = scores if groups is None else grouped(scores, groups)
    decision = choose_decision(scores)
    assert group_table(scores, decision).is_empty()
    assert summarise_groups(scores, decision) is None


def test_the_summary_counts_each_group_once(trained_scores):
    scores = grouped(trained_scores(60), dealt(60))
    decision = choose_decision(scores)
    values = group_table(scores, decision)[group_figure(scores.task)]
    summary = summarise_groups(scores, decision, resamples=20)
    assert summary["mean"] == pytest.approx(values.mean())
    assert summary["deviation"] == pytest.approx(values.std())


def test_groups_dealt_at_random_deviate_as_chance_says():
    generator = np.random.default_rng(0)
    values, sizes = (generator.random(120) < 0.7).astype(float), np.array([5, 10, 15, 30, 60])
    variances = [
        np.var([part.mean() for part in np.split(generator.permutation(values),
                                                 sizes.cumsum()[:-1])], ddof=1)
        for _ in range(4000)
    ]  # fmt: skip
    assert np.sqrt(np.mean(variances)) == pytest.approx(deviation_by_chance(values, sizes), 0.04)


def test_the_p_value_of_right_and_wrong_is_pearsons():
    generator = np.random.default_rng(2)
    sizes = np.array([12, 30, 18, 40])
    groups = np.repeat(np.arange(4), sizes)
    values = (generator.random(100) < np.array([0.4, 0.8, 0.7, 0.75])[groups]).astype(float)
    rights = np.bincount(groups, values)
    expected = stats.chi2_contingency(np.stack([rights, sizes - rights]))
    found = alike_p_value(values, rights / sizes, sizes)
    assert stats.chi2.isf(found, 3) == pytest.approx(expected.statistic * 99 / 100)
    assert alike_p_value(np.ones(100), np.ones(4), sizes) == 1


@pytest.mark.parametrize("kind", TaskKind)
def test_groups_of_one_example_each_give_the_ordinary_intervals(trained_scores, kind):
    scores = trained_scores(50, kind=kind)
    decision = choose_decision(scores)
    probabilities = decision.probabilities(scores.task, scores.logits_NK)
    ordinary = headline_intervals(
        probabilities, decision.decide(probabilities), scores.targets_NK, seed=3, resamples=100
    )
    alone = grouped(scores, [None, *(f"g{n}" for n in range(49))])
    by_group = group_intervals(alone, decision, seed=3, resamples=100)
    assert ends(by_group) == pytest.approx(ends(ordinary))


def test_the_interval_of_accuracy_is_that_of_the_cluster_robust_error(scores_of):
    # the sandwich variance of a mean, clusters kept whole: sum over g of (sum of residuals)^2 / N^2
    generator = np.random.default_rng(1)
    sizes = generator.integers(4, 12, 60)
    group_N = np.repeat(np.arange(60), sizes)
    right_N = generator.random(len(group_N)) < np.repeat(generator.beta(2, 1, 60), sizes)
    logits = np.where(right_N[:, None], [2, -2], [-2, 2])
    scores = grouped(scores_of(logits, [[1, 0]] * len(logits), kind=TaskKind.MULTI_CLASS),
                     [f"g{g}" for g in group_N])  # fmt: skip
    low, high = group_intervals(scores, Decision(), seed=0, resamples=4000)["accuracy"]
    residuals_G = np.bincount(group_N, right_N - right_N.mean())
    error = np.sqrt((residuals_G**2).sum()) / len(right_N)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.07)
    alone = headline_intervals(logits, logits > 0, scores.targets_NK, seed=0)["accuracy"]
    assert high - low > 1.3 * (alone[1] - alone[0])


def test_a_perfect_model_is_perfect_whatever_groups_of_one_class_are_drawn(scores_of):
    truth = np.repeat(np.eye(6), 5, axis=0)
    scores = scores_of(6 * truth - 3, truth, kind=TaskKind.MULTI_CLASS)
    scores = grouped(scores, [f"g{g}" for g in np.repeat(np.arange(6), 5)])
    assert set(group_intervals(scores, Decision(), seed=0).values()) == {(1.0, 1.0)}


def test_one_group_alone_has_no_interval(scores_of):
    scores = grouped(scores_of([[1, 0]] * 4, [[1, 0]] * 4, kind=TaskKind.MULTI_CLASS), ["a"] * 4)
    intervals = group_intervals(scores, Decision(), seed=0, resamples=20)
    assert np.isnan([*ends(intervals).values()]).all()


def test_many_examples_of_few_groups_are_drawn_in_parts(trained_scores, monkeypatch):
    scores = grouped(trained_scores(40), dealt(40, 5))
    decision = choose_decision(scores)
    whole = group_intervals(scores, decision, seed=0, resamples=50)
    monkeypatch.setattr("finelens.evaluation.groups._CELLS_AT_ONCE", 3 * 40)
    in_parts = group_intervals(scores, decision, seed=0, resamples=50)
    assert ends(in_parts) == pytest.approx(ends(whole))


def test_results_per_group_are_written_where_there_are_groups(trained_scores, tmp_path):
    plain = trained_scores(40)
    scores = grouped(plain, dealt(40))
    decision = choose_decision(scores)
    evaluation = evaluate(scores, decision, split="test", resamples=20)
    write_evaluation(tmp_path, evaluation, scores, decision)
    assert pl.read_parquet(tmp_path / "groups.parquet").equals(evaluation.groups)
    back = read_evaluation(tmp_path)
    assert back.groups.equals(evaluation.groups)
    assert back.metrics["groups"] == evaluation.metrics["groups"]
    # other data under the same name leave no groups behind
    write_evaluation(tmp_path, evaluate(plain, decision, split="test"), plain, decision)
    assert not (tmp_path / "groups.parquet").exists()
    assert read_evaluation(tmp_path).groups.is_empty()


def test_scores_keep_where_they_come_from(trained_scores, tmp_path):
    scores = replace(
        trained_scores(3), groups=("a", None, "b"), spans=((0.0, 1.5), (None, None), (2.0, None))
    )
    path = tmp_path / "scores.parquet"
    write_scores(path, scores, Decision(thresholds=(0.5,) * 5))
    back = read_scores(path, scores.task)
    assert (back.groups, back.spans) == (scores.groups, scores.spans)
    assert back.labelled().spans == scores.spans
    pl.read_parquet(path).drop("group", "start_s", "end_s").write_parquet(path)
    earlier = read_scores(path, scores.task)
    assert (earlier.groups, earlier.spans, earlier.ids) == (None, None, scores.ids)
