from types import SimpleNamespace
from typing import Any

import pytest

from finelens.training.forecast import Forecast, Pace


def make_phase(
    epochs: int, *, size: int = 100, freeze: str = "none", num_views: int | None = None
) -> Any:
    augmentation = SimpleNamespace(preprocessing=SimpleNamespace(size=size))
    return SimpleNamespace(
        epochs=epochs, augmentation=augmentation, freeze=freeze, num_views=num_views
    )


def make_forecast(
    phases: Any, *, num_val: int = 0, keeping: Any = None, is_averaged: bool = False
) -> Forecast:
    keeping = keeping or [False] * len(phases)
    return Forecast(
        phases, num_train=100, num_val=num_val, keeping=keeping, is_averaged=is_averaged
    )


def make_state(
    *, phase: int = 0, epoch: int = 0, pictures: int, seconds: float, done: int = 0
) -> Any:
    position = SimpleNamespace(phase=phase, epoch=epoch)
    sums = SimpleNamespace(pictures=done)
    return SimpleNamespace(position=position, pictures=pictures, update_seconds=seconds, sums=sums)


def test_the_first_update_is_left_out_and_the_forecast_told_once():
    forecast = make_forecast([make_phase(2)])
    forecast.begin_phase()
    assert forecast.after_update(make_state(pictures=10, seconds=9.0), 100) is None
    assert forecast.after_update(make_state(pictures=20, seconds=12.0), 100) is None
    # 5 s for 20 pictures: 25 s an epoch
    told_s = forecast.after_update(make_state(pictures=30, seconds=14.0), 100)
    assert told_s == pytest.approx(50.0)
    assert forecast.after_update(make_state(pictures=40, seconds=16.0), 100) is None


def test_what_was_told_is_mended_after_a_longer_stretch_that_took_another_time():
    forecast = make_forecast([make_phase(2)])
    forecast.begin_phase()
    told = [
        forecast.after_update(make_state(pictures=pictures, seconds=seconds, done=pictures), 100)
        for pictures, seconds in [
            (0, 0.0), (10, 10.0),  # 1 s a picture
            (22, 25.0),  # too short
            (24, 29.0),  # 1.36 s, near enough
            (50, 100.0),  # 64 s are needed: 2.7 s
            (90, 200.0),  # 256 s are needed
            (180, 400.0),  # 2.3 s, near enough
        ]
    ]  # fmt: skip
    assert told == [None, pytest.approx(190.0), None, None, pytest.approx(150 * 71 / 26),
                    None, None]  # fmt: skip
    forecast.begin_phase()
    forecast.after_update(make_state(pictures=200, seconds=400.0), 100)
    assert forecast.after_update(make_state(pictures=210, seconds=410.0), 100) is not None


def test_work_grows_with_the_area_and_falls_to_the_forward_pass_of_a_frozen_backbone():
    phases = [make_phase(1, freeze="backbone"), make_phase(2), make_phase(1, size=200)]
    forecast = make_forecast(phases)
    forecast.begin_phase()
    forecast.after_update(make_state(pictures=0, seconds=0.0), 100)
    told_s = forecast.after_update(make_state(pictures=100, seconds=10.0), 100)
    # 10 s of forward passes, then 2 x 30 s of updates, then 4 x 30 s
    assert told_s == pytest.approx(10 + 60 + 120)


def test_epochs_and_phases_that_are_over_count_no_more_and_validation_does():
    forecast = make_forecast([make_phase(5), make_phase(4)], num_val=30)
    forecast.begin_phase()
    forecast.after_update(make_state(phase=1, epoch=3, pictures=0, seconds=0.0), 100)
    told_s = forecast.after_update(make_state(phase=1, epoch=3, pictures=50, seconds=5.0), 100)
    # one epoch of 10 s, and 30 forward passes of a third of 0.1 s after it and at the end
    assert told_s == pytest.approx(10 + 1 + 1)


@pytest.mark.parametrize(("is_averaged", "num_validations"), [(False, 1), (True, 50)])
def test_kept_features_are_computed_once_and_then_cost_nothing(is_averaged, num_validations):
    phases = [make_phase(2), make_phase(50, freeze="backbone", num_views=3)]
    forecast = make_forecast(phases, num_val=30, keeping=[False, True], is_averaged=is_averaged)
    forecast.begin_phase()
    forecast.after_update(make_state(pictures=0, seconds=0.0), 100)
    told_s = forecast.after_update(make_state(pictures=50, seconds=5.0), 100)
    # two epochs of 10 s and 1 s each, 300 views forward, validation, and the last scoring
    assert told_s == pytest.approx(2 * 11 + 10 + num_validations + 1)


@pytest.mark.parametrize(("num_phases", "told_s"), [(1, pytest.approx(15.0)), (2, None)])
def test_updates_on_kept_features_tell_of_the_last_phase_alone(num_phases, told_s):
    phases = [make_phase(3, num_views=1)] * num_phases
    forecast = make_forecast(phases, keeping=[True] * num_phases)
    forecast.begin_phase()
    forecast.after_update(make_state(epoch=1, pictures=0, seconds=0.0), 100)
    state = make_state(epoch=1, pictures=100, seconds=6.0)
    # two epochs are left, of 6 s and of what follows them
    assert forecast.after_update(state, 100, after_epoch_s=1.5) == told_s


def test_a_pace_tells_once_what_is_left_after_the_first_examples():
    pace = Pace(100)
    assert pace.after(10, now=50.0) is None  # the first take longer
    assert pace.after(10, now=52.0) is None
    assert pace.after(10, now=54.0) == pytest.approx(70 * 4 / 20)
    assert pace.after(10, now=60.0) is None


def test_a_pace_says_nothing_where_little_is_left():
    pace = Pace(30)
    pace.after(10, now=0.0)
    assert pace.after(15, now=6.0) is None
    assert pace.after(5, now=8.0) is None
