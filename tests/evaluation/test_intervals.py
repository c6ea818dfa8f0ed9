import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from finelens.evaluation import metrics
from finelens.evaluation.accuracy import accuracy
from finelens.evaluation.average_precision import mean_average_precision
from finelens.evaluation.intervals import (
    affordable_resamples,
    bootstrap_interval,
    headline_intervals,
    macro_f1_statistic,
    mean_average_precision_statistic,
    micro_f1_statistic,
    resample,
)


def mean_statistic(values):
    return lambda weights_NR: values @ weights_NR / weights_NR.sum(axis=0)


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).random(400) * 0.5
    low, high = bootstrap_interval(mean_statistic(values), 400, seed=0, resamples=2000)
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_a_wider_level_gives_a_wider_interval_within_0_and_1():
    values = np.array([1.0] * 9 + [0.0])
    narrow = bootstrap_interval(mean_statistic(values), 10, seed=0, level=0.5)
    wide = bootstrap_interval(mean_statistic(values), 10, seed=0, level=0.99)
    assert wide[0] < narrow[0] <= narrow[1] <= wide[1] <= 1


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values = np.random.default_rng(1).random(50)
    first, same, other = (
        bootstrap_interval(mean_statistic(values), 50, seed=seed) for seed in (3, 3, 4)
    )
    assert first == same != other


def test_one_seed_gives_every_statistic_the_same_resamples():
    values = np.random.default_rng(5).random(30)
    (_, first), (_, twice) = (
        resample(mean_statistic(factor * values), 30, seed=7, resamples=50) for factor in (1, 2)
    )
    assert twice == pytest.approx(2 * first)
    assert len(set(first.round(9))) > 40


def test_the_mean_of_resampled_values_is_the_figure_itself():
    scores = np.random.default_rng(6).random((40, 1)).round(1)
    statistic = mean_average_precision_statistic(scores, (scores > 0.4) * 1.0)
    figure, values = resample(statistic, 40, seed=0, resamples=100)
    assert figure == pytest.approx(mean_average_precision(scores, (scores > 0.4) * 1.0))
    assert values.mean() == pytest.approx(figure)


def test_one_picture_has_no_interval():
    assert np.isnan(bootstrap_interval(mean_statistic(np.ones(1)), 1, seed=0)).all()


def test_an_undefined_figure_has_no_interval():
    statistic = mean_average_precision_statistic(np.ones((3, 2)), np.zeros((3, 2)))
    assert np.isnan(bootstrap_interval(statistic, 3, seed=0)).all()


def macro_f1_of_drawn(decisions, targets, rows):
    """Average over what is true or decided of the rows, and 0 for classes of no row at all."""
    values, num_known, num_met = [], 0, 0
    for k in range(targets.shape[1]):
        known = ~np.isnan(targets[:, k])
        num_known += known.any()
        num_met += bool((decisions[known, k] | (targets[known, k] == 1)).any())
        own = [n for n in rows if known[n]]
        truth, said = targets[own, k] == 1, decisions[own, k]
        if truth.any() or said.any():
            values.append(f1_score(truth, said, zero_division=0))
    return np.mean(values) * num_met / num_known if values else np.nan


def test_a_class_that_is_not_drawn_counts_for_nothing():
    decisions = np.eye(6, dtype=bool)
    targets = decisions.astype(float)
    assert bootstrap_interval(macro_f1_statistic(decisions, targets), 6, seed=0) == (1, 1)
    weights = np.array([[2, 4], [0, 1], [0, 1], [1, 0], [0, 0], [3, 0]], dtype=np.float32)
    decisions[1] = decisions[2]
    values = macro_f1_statistic(decisions, targets)(weights)
    assert values == pytest.approx([1, (1 + 0 + 2 / 3) / 3])


def test_a_class_of_no_picture_stays_0_in_macro_f1():
    decisions = np.eye(3, 4, dtype=bool)
    interval = bootstrap_interval(macro_f1_statistic(decisions, decisions * 1.0), 3, seed=0)
    assert interval == pytest.approx((0.75, 0.75))
    assert metrics.macro_f1(decisions, decisions * 1.0) == pytest.approx(0.75)
    nothing = np.zeros((3, 2))
    assert macro_f1_statistic(nothing > 0, nothing)(np.ones((3, 1), np.float32)) == [0]


@pytest.mark.parametrize("seed", range(8))
def test_weights_stand_for_repeated_pictures(multi_label_case, seed):
    scores, targets, decisions = multi_label_case(seed, ignored=0.1)
    weights = np.random.default_rng(seed).integers(0, 3, (len(scores), 4)).astype(np.float32)
    weights[0] += 1
    precision = mean_average_precision_statistic(scores, targets)(weights)
    macro = macro_f1_statistic(decisions, targets)(weights)
    micro = micro_f1_statistic(decisions, targets)(weights)
    for r, repeats in enumerate(weights.T.astype(int)):
        rows = np.repeat(np.arange(len(scores)), repeats)
        expected = mean_average_precision(scores[rows], targets[rows])
        assert precision[r] == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert macro[r] == pytest.approx(
            macro_f1_of_drawn(decisions, targets, rows), rel=1e-5, nan_ok=True
        )
        assert micro[r] == pytest.approx(
            metrics.class_counts(decisions[rows], targets[rows]).sum().f1, rel=1e-5
        )


def test_the_weighted_precision_of_one_class_is_scikit_learns_with_sample_weights():
    generator = np.random.default_rng(0)
    scores, targets = generator.integers(0, 9, (60, 1)) / 8, generator.random((60, 1)) < 0.3
    weights = generator.integers(0, 4, 60)
    expected = average_precision_score(targets[:, 0], scores[:, 0], sample_weight=weights)
    statistic = mean_average_precision_statistic(scores, targets.astype(float))
    ours = statistic(weights[:, None].astype(np.float32))
    assert ours[0] == pytest.approx(expected, rel=1e-5)


def test_headline_intervals_hold_their_figures(trained_scores):
    scores = trained_scores(60)
    probabilities = scores.task.probabilities(scores.logits_NK)
    decisions, targets = probabilities >= 0.5, scores.targets_NK
    intervals = headline_intervals(probabilities, decisions, targets, seed=0, resamples=200)
    figures = {
        "accuracy": accuracy(decisions, targets),
        "example_f1": metrics.example_f1(decisions, targets),
        "macro_f1": metrics.macro_f1(decisions, targets),
        "micro_f1": metrics.micro_f1(decisions, targets),
        "mean_average_precision": mean_average_precision(probabilities, targets),
    }
    assert intervals.keys() == figures.keys()
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high
        assert high - low < 0.4


def test_unlabelled_pictures_change_no_interval(trained_scores):
    scores = trained_scores(40)
    probabilities, targets = scores.task.probabilities(scores.logits_NK), scores.targets_NK
    unknown = np.vstack([targets, np.full((3, 5), np.nan)])
    more = np.vstack([probabilities, probabilities[:3]])
    first = headline_intervals(probabilities, probabilities > 0.5, targets, seed=0, resamples=50)
    assert first == headline_intervals(more, more > 0.5, unknown, seed=0, resamples=50)


def test_a_thousand_resamples_of_a_thousand_pictures_take_seconds():
    generator = np.random.default_rng(0)
    probabilities = generator.random((1000, 20))
    targets = (generator.random((1000, 20)) < 0.2).astype(np.float32)
    start = time.process_time()
    headline_intervals(probabilities, probabilities > 0.5, targets, seed=0, resamples=1000)
    assert time.process_time() - start < 10


def test_many_cells_take_fewer_resamples_but_never_under_100():
    assert affordable_resamples(1000, 20) == 1000
    assert affordable_resamples(40_000, 20) == 500
    assert affordable_resamples(10**6, 10**3) == 100
