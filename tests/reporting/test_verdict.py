import polars as pl
import pytest

from finelens.reporting.pairing import PAIR_SCHEMA
from finelens.reporting.verdict import Contender, tell_interval, tell_p, tell_points, tell_verdict


def contender(name, figure=0.9, minutes=10.0, device="cpu", epochs=30):
    return Contender(name, figure, minutes, device, epochs)


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


def test_times_of_other_numbers_of_epochs_are_told_as_such():
    row = pair("A", "B", 0.0, 1.0)
    told = verdict([contender("A"), contender("B", minutes=1.0, epochs=3)], row)
    assert told.endswith("; B trained 10.0x faster, in 3 epochs against 30.")
    told = verdict([contender("A", minutes=1.0, epochs=1, device="gpu"), contender("B")], row)
    assert told.endswith("; A trained 10.0x faster, in 1 epoch against 30, on another device.")
    told = verdict([contender("A"), contender("B", minutes=1.0, epochs=None)], row)
    assert told.endswith("; B trained 10.0x faster.")
    runs = [contender("A", 0.9), contender("B", 0.89, 1.0, epochs=3), contender("C", 0.88)]
    told = verdict(runs, row, pair("A", "C", 0.02, 0.2))
    assert told.endswith("B trained fastest, 10.0x faster than A, in 3 epochs against 30.")


def unknown(metric, figure=None, *, num_pictures=12):
    row = pair("A", "B", None, None, metric=metric)
    return row | {"figure": figure, "other_figure": figure, "num_pictures": num_pictures}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            unknown("mean_average_precision"),
            "no class is true of any of the 12 pictures they share",
        ),
        (unknown("macro.f1"), "it is undefined for A and B on the 12 pictures they share"),
        (unknown("macro.f1") | {"figure": 0.5}, "it is undefined for B on the 12 pictures they"),
        (
            unknown("accuracy", 0.5, num_pictures=1),
            "no test can be made of the 1 picture they share",
        ),
    ],
)
def test_runs_without_a_figure_or_a_test_are_not_said_to_be_alike(row, reason):
    runs = [contender("A", None), contender("B", None, minutes=5.0)]
    words = {"mean_average_precision": "mean AP", "macro.f1": "macro F1", "accuracy": "accuracy"}
    told = verdict(runs, row, metrics=(row["metric"],))
    assert told.startswith(f"A and B cannot be compared in {words[row['metric']]}: {reason}")
    assert told.endswith("B trained 2.0x faster.")
    assert "differ" not in told


def test_a_second_metric_is_told_where_the_main_one_or_itself_is_undefined():
    runs, metrics = [contender("A"), contender("B")], ("mean_average_precision", "example.f1")
    main = unknown("mean_average_precision")
    told = verdict(runs, main, pair("A", "B", 0.0, 0.4, metric="example.f1"), metrics=metrics)
    assert told.endswith("they share; they do not differ significantly in example F1 (p = 0.40).")
    main = pair("A", "B", 0.0, 0.4, metric="mean_average_precision")
    told = verdict(runs, main, unknown("example.f1"), metrics=metrics)
    assert "(p = 0.40); they cannot be compared in example F1: it is undefined for A and B" in told


def test_of_many_runs_those_without_a_test_are_not_said_to_be_alike():
    runs = [contender("A"), contender("B", 0.8), contender("C", 0.7)]
    told = verdict(runs, pair("A", "B", 0.1, None), pair("A", "C", 0.2, 0.001))
    assert told == (
        "A has the highest accuracy (90.0%): significantly better than C; "
        "B could not be tested against it."
    )
    told = verdict([contender(name, None) for name in "ABC"], pair("A", "B", None, None))
    assert told == "the runs cannot be compared in accuracy: it is undefined for every one."


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


def test_runs_of_one_figure_are_called_level():
    runs = [contender(name, 0.5) for name in ("a", "b", "c")]
    told = verdict(runs, pair("a", "b", 0.0, 1.0), pair("a", "c", 0.0, 1.0))
    assert told == "a, b and c have the same accuracy (50.0%)."
