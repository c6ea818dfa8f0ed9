from itertools import product
from math import comb
from operator import mul

import numpy as np
import pytest
from scipy import stats

from finelens.evaluation.intervals import mean_average_precision_statistic, resample
from finelens.evaluation.paired import (
    group_sign_test,
    holm,
    mcnemar_test,
    newcombe_interval,
    paired_bootstrap,
)


def rights(both, first, second, neither):
    """Return what two models have right, from the four counts of pictures."""
    cells = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, first, second, neither], axis=0)
    return cells[:, 0].astype(bool), cells[:, 1].astype(bool)


@pytest.mark.parametrize("seed", range(12))
def test_the_exact_test_adds_up_all_tables_as_unlikely(seed):
    generator = np.random.default_rng(seed)
    right, other = generator.random((2, 50)) < [[0.7], [0.5]]
    test = mcnemar_test(right, other)
    first = sum(a and not b for a, b in zip(right, other, strict=True))
    second = sum(b and not a for a, b in zip(right, other, strict=True))
    apart = first + second
    tail = sum(comb(apart, k) for k in range(min(first, second) + 1)) / 2**apart
    assert (test.num_first, test.num_second) == (first, second)
    assert test.p_value == pytest.approx(min(1.0, 2 * tail))
    assert test.difference == pytest.approx(right.mean() - other.mean())


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_one_picture_each_give_mcnemars_test(seed):
    right, other = np.random.default_rng(seed).random((2, 60)) < [[0.7], [0.5]]
    alone = group_sign_test(right, other, np.arange(60), (-0.1, 0.2))
    test = mcnemar_test(right, other)
    assert alone.p_value == pytest.approx(test.p_value)
    assert (alone.difference, alone.num_first, alone.num_second, alone.low, alone.high) == (
        test.difference, test.num_first, test.num_second, -0.1, 0.2,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_every_flip_of_whole_groups_is_counted(seed):
    generator = np.random.default_rng(seed)
    places = np.append(np.arange(9), generator.integers(0, 9, 51))
    right, other = generator.random((2, 60)) < [[0.8], [0.6]]
    apart = [int(right[places == g].sum()) - int(other[places == g].sum()) for g in range(9)]
    sums = [sum(map(mul, signs, apart)) for signs in product((1, -1), repeat=9)]
    expected = np.mean([abs(one) >= abs(sum(apart)) for one in sums])
    assert group_sign_test(right, other, places, (0, 0)).p_value == pytest.approx(expected)


def test_equal_models_on_grouped_pictures_are_seldom_told_apart():
    # in each group either model may be much the better, neither on the whole
    generator, places = np.random.default_rng(0), np.repeat(np.arange(12), 20)
    by_group, alone = [], []
    for _ in range(300):
        chances = np.clip(0.7 + generator.normal(0, 0.2, (2, 12)), 0, 1)[:, places]
        right, other = generator.random((2, 240)) < chances
        by_group.append(group_sign_test(right, other, places, (0, 0)).p_value < 0.05)
        alone.append(mcnemar_test(right, other).p_value < 0.05)
    assert np.mean(by_group) <= 0.07
    assert np.mean(alone) > 0.2


def test_few_groups_that_agree_are_no_proof():
    values = np.full(200, 0.6)
    assert paired_bootstrap((0.6, 0.5), values, values - 0.1).p_value < 1e-9
    test = paired_bootstrap((0.6, 0.5), values, values - 0.1, num_groups=3)
    assert test.p_value == 0.25
    assert group_sign_test(*rights(0, 9, 0, 0), np.repeat([0, 1, 2], 3), (0, 1)).p_value == 0.25


def test_models_never_apart_do_not_differ():
    test = mcnemar_test(*rights(30, 0, 0, 5))
    assert (test.difference, test.p_value) == (0, 1)
    assert test.low < 0 < test.high


def test_no_pictures_give_no_accuracy_test():
    test = mcnemar_test(np.array([], bool), np.array([], bool))
    assert np.isnan([test.difference, test.low, test.high, test.p_value]).all()


def test_the_other_way_round_the_test_says_the_opposite():
    right, other = rights(20, 9, 2, 4)
    test, turned = mcnemar_test(right, other), mcnemar_test(other, right)
    assert turned.p_value == test.p_value
    assert (turned.difference, turned.low, turned.high) == pytest.approx(
        (-test.difference, -test.high, -test.low)
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((36, 12, 2, 0), (0.0569, 0.3404)),  # Newcombe 1998, his first example
        ((1, 1, 7, 12), (-0.507, -0.026)),  # Bentur 2009, in Fagerland et al. 2014
    ],
)
def test_published_examples_of_newcombes_interval(counts, expected):
    assert newcombe_interval(*rights(*counts)) == pytest.approx(expected, abs=6e-4)


def test_uncorrelated_newcombe_is_the_square_and_add_of_wilsons_intervals():
    right, other = rights(12, 12, 8, 8)  # phi is exactly 0
    ends = [
        stats.binomtest(int(x.sum()), 40).proportion_ci(method="wilson") for x in (right, other)
    ]
    below = np.hypot(0.6 - ends[0].low, ends[1].high - 0.5)
    above = np.hypot(ends[0].high - 0.6, 0.5 - ends[1].low)
    assert newcombe_interval(right, other) == pytest.approx((0.1 - below, 0.1 + above))


@pytest.mark.parametrize("cells", [(0.7, 0.12, 0.08, 0.1), (0.3, 0.3, 0.1, 0.3)])
def test_newcombes_interval_holds_the_true_difference_as_often_as_it_says(cells):
    generator = np.random.default_rng(0)
    tables = generator.multinomial(80, cells, 400)
    ends = np.array([newcombe_interval(*rights(*table)) for table in tables])
    truth = cells[1] - cells[2]
    covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
    assert 0.92 <= covered <= 0.99


def mean_of(values):
    return lambda weights_NR: values @ weights_NR / weights_NR.sum(axis=0)


def bootstrap(values, other, *, seed=0, resamples=1000):
    figures, resampled = zip(
        *(
            resample(mean_of(of_model), len(values), seed=seed, resamples=resamples)
            for of_model in (values, other)
        ),
        strict=True,
    )
    return paired_bootstrap(figures, *resampled)


def test_the_bootstrap_of_two_means_is_the_paired_t_test():
    generator = np.random.default_rng(1)
    values = generator.random(300)
    other = values + generator.normal(0.02, 0.15, 300)
    test = bootstrap(values, other, resamples=4000)
    reference = stats.ttest_rel(values, other)
    low, high = reference.confidence_interval()
    assert test.difference == pytest.approx(values.mean() - other.mean())
    assert test.p_value == pytest.approx(reference.pvalue, abs=0.02)
    assert (test.low, test.high) == pytest.approx((low, high), abs=0.003)


def test_the_bootstrap_is_that_of_the_differences_counted_one_by_one():
    generator = np.random.default_rng(2)
    values, other = generator.random((2, 500))
    test = paired_bootstrap((0.6, 0.5), values, other)
    apart = [a - b for a, b in zip(values, other, strict=True)]
    centre = sum(apart) / 500
    assert test.p_value == (1 + sum(abs(one - centre) >= 0.6 - 0.5 for one in apart)) / 501
    assert (test.low, test.high) == pytest.approx(tuple(np.quantile(apart, [0.025, 0.975])))


def test_equal_models_have_a_p_value_of_1_and_surely_unequal_ones_never_0():
    values = np.random.default_rng(3).random(40)
    assert bootstrap(values, values).p_value == 1
    assert 0 < bootstrap(values, values - 0.3, resamples=199).p_value <= 1 / 200


def test_a_huge_difference_is_significant_among_45_pairs_of_few_resamples():
    generator = np.random.default_rng(6)
    values = generator.random(4000)
    other = values - generator.normal(0.1, 0.2, 4000)
    assert stats.ttest_rel(values, other).pvalue < 1e-50
    p_value = bootstrap(values, other, resamples=100).p_value
    assert holm([p_value, *[0.5] * 44])[0] < 0.001
    alike = np.linspace(0.4, 0.6, 100)
    assert paired_bootstrap((0.9, 0.1), alike + 0.3, alike - 0.5).p_value > 0


def test_a_difference_beyond_all_resamples_has_the_normal_tail_where_that_is_smaller():
    apart = np.random.default_rng(7).normal(0.1, 0.02, 200)
    apart += 0.1 - apart.mean()
    deviation = np.sqrt(sum((one - 0.1) ** 2 for one in apart) / 199)
    test = paired_bootstrap((0.6, 0.5), apart, np.zeros(200))
    assert test.p_value == pytest.approx(2 * stats.norm.cdf(-0.1 / deviation))
    assert test.p_value < 1 / 201
    # all but at the edge the resamples themselves say how rare it is
    near = np.append(np.linspace(-1, 1, 20), 0) * 0.1 + 0.11
    assert paired_bootstrap((0.61, 0.5), near, np.zeros(21)).p_value == 1 / 22


def test_one_resample_says_nothing():
    assert paired_bootstrap((0.6, 0.5), np.array([0.6]), np.array([0.5])).p_value == 0.5


def test_the_bootstrap_finds_equal_models_different_about_as_seldom_as_it_says():
    generator = np.random.default_rng(4)
    found = [
        bootstrap(*generator.random((2, 60)), seed=seed, resamples=200).p_value < 0.05
        for seed in range(300)
    ]
    assert 0.02 <= np.mean(found) <= 0.09


def test_p_values_of_equal_models_are_as_small_as_they_say_at_every_level():
    generator = np.random.default_rng(8)
    p_values = [bootstrap(*generator.random((2, 60)), seed=seed, resamples=50).p_value
                for seed in range(1500)]  # fmt: skip
    for level in (0.005, 0.02, 0.1, 0.5):
        # three standard deviations of a share, and the little that resamples spread too little
        spread = 3 * np.sqrt(level * (1 - level) / 1500)
        assert np.mean(np.array(p_values) < level) <= 1.4 * level + spread


def test_rankings_equally_good_are_seldom_found_different():
    generator = np.random.default_rng(5)
    found = []
    for seed in range(150):
        targets = (generator.random((150, 4)) < 0.2) * 1.0
        statistics = [
            mean_average_precision_statistic(
                1.5 * targets + generator.normal(size=(150, 4)), targets
            )
            for _ in range(2)
        ]
        runs = [resample(one, 150, seed=seed, resamples=200) for one in statistics]
        test = paired_bootstrap((runs[0][0], runs[1][0]), runs[0][1], runs[1][1])
        found.append(test.p_value < 0.05)
    assert 0.01 <= np.mean(found) <= 0.12


def test_undefined_resamples_are_left_out_and_all_undefined_is_unknown():
    values = np.array([0.5, np.nan, 0.7, 0.6])
    kept = paired_bootstrap((0.6, 0.5), values, np.full(4, 0.5))
    assert kept == paired_bootstrap((0.6, 0.5), values[[0, 2, 3]], np.full(3, 0.5))
    nothing = paired_bootstrap((np.nan, 0.5), np.full(4, np.nan), values)
    assert np.isnan([nothing.difference, nothing.low, nothing.high, nothing.p_value]).all()


def rejected(p_values, level):
    """Return which hypotheses Holm's step-down procedure rejects at a level."""
    gone = set()
    while len(gone) < len(p_values):
        rest = [place for place in range(len(p_values)) if place not in gone]
        smallest = min(rest, key=lambda place: p_values[place])
        if p_values[smallest] > level / len(rest):
            break
        gone.add(smallest)
    return gone


@pytest.mark.parametrize("seed", range(8))
def test_holm_rejects_at_a_level_exactly_what_the_step_down_procedure_does(seed):
    generator = np.random.default_rng(seed)
    p_values = (generator.random(7) ** 3).round(2)
    corrected = holm(p_values)
    for level in (0.013, 0.0511, 0.207, 0.513):
        assert {p for p, one in enumerate(corrected) if one <= level} == rejected(p_values, level)


def test_holm_leaves_a_single_test_as_it_is_and_passes_over_the_unknown():
    assert holm([0.03]) == [0.03]
    corrected = holm([float("nan"), 0.5, 0.02])
    assert np.isnan(corrected[0])
    assert corrected[1:] == [0.5, 0.04]
    assert holm([]) == []
