from types import SimpleNamespace
from typing import Any

import pytest

from finelens.training.forecast import Forecast, Pace


def make_phase(epochs: int, *, size: int = 100, freeze: str = "none") -> Any:
    augmentation = SimpleNamespace(preprocessing=SimpleNamespace(size=size))
    return SimpleNamespace(epochs=epochs, augmentation=augmentation, freeze=freeze)


def make_state(*, phase: int = 0, epoch: int = 0, pictures: int, seconds: float) -> Any:
    position = SimpleNamespace(phase=phase, epoch=epoch)
    return SimpleNamespace(position=position, pictures=pictures, update_seconds=seconds)


def test_the_first_update_is_left_out_and_the_forecast_told_once():
    forecast = Forecast([make_phase(2)], num_val=0)
    forecast.begin_phase()
    assert forecast.after_update(make_state(pictures=10, seconds=9.0), 100) is None
    assert forecast.after_update(make_state(pictures=20, seconds=12.0), 100) is None
    # 5 s for 20 pictures: 25 s an epoch
    told_s = forecast.after_update(make_state(pictures=30, seconds=14.0), 100)
    assert told_s == pytest.approx(50.0)
    assert forecast.after_update(make_state(pictures=40, seconds=16.0), 100) is None


def test_work_grows_with_the_area_and_falls_to_the_forward_pass_of_a_frozen_backbone():
    phases = [make_phase(1, freeze="backbone"), make_phase(2), make_phase(1, size=200)]
    forecast = Forecast(phases, num_val=0)
    forecast.begin_phase()
    forecast.after_update(make_state(pictures=0, seconds=0.0), 100)
    told_s = forecast.after_update(make_state(pictures=100, seconds=10.0), 100)
    # 10 s of forward passes, then 2 x 30 s of updates, then 4 x 30 s
    assert told_s == pytest.approx(10 + 60 + 120)


def test_epochs_and_phases_that_are_over_count_no_more_and_validation_does():
    forecast = Forecast([make_phase(5), make_phase(4)], num_val=30)
    forecast.begin_phase()
    forecast.after_update(make_state(phase=1, epoch=3, pictures=0, seconds=0.0), 100)
    told_s = forecast.after_update(make_state(phase=1, epoch=3, pictures=50, seconds=5.0), 100)
    # one epoch of 10 s, and 30 forward passes of a third of 0.1 s after it and at the end
    assert told_s == pytest.approx(10 + 1 + 1)


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
