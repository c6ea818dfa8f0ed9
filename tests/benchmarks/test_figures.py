import numpy as np
import pytest
from suite.figures import Measured, Ratio, Target, compare, shortfalls


def test_ratio_is_of_the_medians_and_its_spread_is_of_the_rounds() -> None:
    ratio = compare([10.0, 30.0, 20.0], [5.0, 10.0, 4.0], "pictures/s")
    assert ratio == Ratio(median=20 / 5, lowest=2.0, highest=5.0)


def test_fewer_seconds_are_faster() -> None:
    assert compare([2.0], [8.0], "s") == Ratio(4.0, 4.0, 4.0)
    assert compare([2.0], [8.0], "clips/s") == Ratio(0.25, 0.25, 0.25)


@pytest.mark.parametrize("unit", ["s", "pictures/s"])
def test_ratio_agrees_with_numpy(unit: str) -> None:
    generator = np.random.default_rng(0)
    ours, theirs = generator.uniform(1, 9, (2, 6))
    ratio = compare(ours.tolist(), theirs.tolist(), unit)
    pairs = theirs / ours if unit == "s" else ours / theirs
    medians = np.median(theirs) / np.median(ours)
    assert ratio.median == pytest.approx(medians if unit == "s" else 1 / medians)
    assert (ratio.lowest, ratio.highest) == pytest.approx((pairs.min(), pairs.max()))


def test_rounds_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rounds of one and 1 of the other"):
        compare([1.0, 2.0], [1.0], "s")
    with pytest.raises(ValueError, match="0 rounds"):
        compare([], [], "s")


def test_target_that_is_reached_exactly_is_met() -> None:
    measured = Measured("pictures/s", ours=[5.0], theirs=[2.0])
    assert shortfalls(measured, Target(times=2.5)) == []
    assert shortfalls(measured, Target(times=2.51)) == ["speed"]


def test_time_must_stay_under_its_limit() -> None:
    measured = Measured("s", ours=[0.2, 0.3, 0.9])
    assert shortfalls(measured, Target(seconds=0.3)) == ["time"]
    assert shortfalls(measured, Target(seconds=0.31)) == []


def test_memory_is_judged_by_the_worst_round() -> None:
    measured = Measured("s", ours=[1.0, 1.0], peaks_mb=[900.0, 1000.0])
    assert shortfalls(measured, Target(seconds=5, peak_mb=1000)) == ["memory"]
    assert shortfalls(measured, Target(seconds=5, peak_mb=1001)) == []


def test_speed_without_the_quality_is_a_miss() -> None:
    measured = Measured("s", [1.0], [30.0], our_qualities=[0.70], their_qualities=[0.71])
    assert shortfalls(measured, Target(times=20, quality=0.708)) == ["quality"]
    assert shortfalls(measured, Target(times=20, quality=0.70)) == []
    assert shortfalls(measured, Target(times=20, quality_gap=0.005)) == ["quality"]
    assert shortfalls(measured, Target(times=20, quality_gap=0.02)) == []


def test_what_was_not_measured_is_a_miss() -> None:
    measured = Measured("s", ours=[1.0])
    target = Target(times=1, seconds=5, peak_mb=1000, quality=0.5, quality_gap=0.1)
    assert shortfalls(measured, target) == ["speed", "memory", "quality", "quality"]
