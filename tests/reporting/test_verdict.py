import polars as pl
import pytest

from finelens.reporting.pairing import PAIR_SCHEMA
from finelens.reporting.verdict import Contender, tell_interval, tell_p, tell_points, tell_verdict


def contender(name, figure=0.9, minutes=10.0, device="cpu"):
    return Contender(name, figure, minutes, device)


def pair(run, other, difference, p_value, *, metric="accuracy", low=None, high=None):
    row = dict.fromkeys(PAIR_SCHEMA)
    return row | {
        "run": run, "other": other, "metric": metric, "test": "McNemar", "num_pictures": 100,
        "difference": difference, "low": low, "high": high, "p_value": p_value,
        "holm_p_value": p_value,
    }  # fmt: skip


def verdict(runs, *pairs, metrics=("accuracy",)):
    return tell_verdict(runs, pl.DataFrame(list(pairs), schema=PAIR_SCHEMA), metrics)


def test_two_runs_alike_and_one_faster():
    runs = [contender("AlexNet", 0.94, 13.0), contender("VGG16", 0.9333, 46.0)]
    told = verdict(runs, pair("AlexNet", "VGG16", 0.0067, 0.41))
    assert told == (
        "AlexNet and VGG16 do not differ significantly in accuracy (p = 0.41); "
        "AlexNet trained 3.5x faster."
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_the_better_of_two_runs_is_named_first_with_its_lead_and_interval(is_first):
    runs = [contender("A", 0.94, 18.0), contender("B", 0.92, 10.0)]
    better, worse, sign = ("A", "B", 1) if is_first else ("B", "A", -1)
    ends = sorted((sign * 0.006, sign * 0.037))
    told = verdict(runs, pair("A", "B", sign * 0.021, 0.004, low=ends[0], high=ends[1]))
    assert told == (
        f"{better} is better than {worse} by 2.1 points of accuracy [0.6, 3.7], p = 0.004; "
        "B trained 1.8x faster."
    )


def test_times_that_hardly_differ_or_are_unknown_are_not_spoken_of():
    row = pair("A", "B", 0.0, 1.0)
    alike = "A and B do not differ significantly in accuracy (p = 1)."
    assert verdict([contender("A", minutes=10.0), contender("B", minutes=10.9)], row) == alike
    assert verdict([contender("A", minutes=None), contender("B")], row) == alike


def test_times_of_other_devices_are_told_as_such():
    told = verdict([contender("A"), contender("B", minutes=1.0, device="gpu")],
                   pair("A", "B", 0.0, 1.0))  # fmt: skip
    assert told.endswith("B trained 10.0x faster, on another device.")


@pytest.mark.parametrize(
    ("main", "beside", "expected"),
    [
        (0.3, 0.4, "in mean AP (p = 0.30); nor do they in example F1 (p = 0.40)."),
        (
            0.3,
            0.01,
            "(p = 0.30); but A is better by 2.0 points of example F1 [1.0, 3.0], p = 0.010.",
        ),
        (0.01, 0.4, "p = 0.010; they do not differ significantly in example F1 (p = 0.40)."),
        (0.01, 0.01, "p = 0.010; A is better by 2.0 points of example F1 [1.0, 3.0], p = 0.010."),
    ],
)
def test_a_second_metric_has_its_own_clause(main, beside, expected):
    ends = {"low": 0.01, "high": 0.03}
    told = verdict(
        [contender("A"), contender("B")],
        pair("A", "B", 0.02, main, metric="mean_average_precision", **ends),
        pair("A", "B", 0.02, beside, metric="example.f1", **ends),
        metrics=("mean_average_precision", "example.f1"),
    )
    assert expected in told


def test_runs_that_share_nothing_are_not_told_apart():
    told = verdict([contender("A"), contender("B")])
    assert told == "A and B cannot be tested: they share no picture and label."


def test_of_many_runs_the_best_is_held_against_the_others():
    runs = [contender("A", 0.80, 9.0), contender("B", 0.90, 30.0), contender("C", 0.89, 10.0),
            contender("D", 0.85, 1.0)]  # fmt: skip
    told = verdict(
        runs, pair("A", "B", -0.1, 0.001), pair("A", "C", -0.09, 0.001),
        pair("B", "C", 0.01, 0.6), pair("C", "D", 0.04, 0.03),
    )  # fmt: skip
    assert told == (
        "B has the highest accuracy (90.0%): significantly better than A, not to be told apart "
        "from C; D could not be tested against it; of these C trained fastest, 3.0x faster than B."
    )


def test_the_best_of_many_alike_is_not_called_better():
    runs = [contender(name, figure) for name, figure in (("A", 0.80), ("B", 0.81), ("C", 0.79))]
    told = verdict(runs, pair("A", "B", -0.01, 0.6), pair("A", "C", 0.01, 0.6),
                   pair("B", "C", 0.02, 0.2))  # fmt: skip
    assert told == "B has the highest accuracy (81.0%), but cannot be told apart from A and C."


def test_one_run_has_no_verdict():
    assert verdict([contender("A")]) == ""


def test_small_p_values_and_differences_are_never_told_as_more_than_they_are():
    assert [tell_p(value) for value in (0.0004, 0.0312, 0.41, 0.996, 1.0, None)] == [
        "p < 0.001", "p = 0.031", "p = 0.41", "p > 0.99", "p = 1", "p unknown"
    ]  # fmt: skip
    assert [tell_points(value) for value in (0.021, -0.021, 0.0001, -0.0001)] == [
        "+2.1", "−2.1", "0.0", "0.0"
    ]  # fmt: skip
    assert tell_interval(-0.012, 0.03) == "[−1.2, 3.0]"
    assert tell_interval(None, None) == ""
