import numpy as np
import pytest
from scipy import stats

from finelens.data.demo.motion import DOWN, MOTIONS, RIGHT, TURN, random_shifts

MOVED = {
    "jumping": {DOWN},
    "moving-down": {DOWN},
    "moving-left": {RIGHT},
    "moving-right": {RIGHT},
    "moving-up": {DOWN},
    "rolling": {RIGHT, TURN},
    "still": set(),
}


def shifts(motion, count=200, num_frames=30):
    generator = np.random.default_rng(0)
    return np.array([random_shifts(motion, generator, num_frames) for _ in range(count)])


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_motion_changes_only_what_it_is_about(motion):
    spread_3 = np.ptp(shifts(motion), axis=1).min(axis=0)
    assert set(np.flatnonzero(spread_3 > 0.1)) == MOVED[motion]
    assert np.ptp(shifts(motion)[..., [c for c in range(3) if c not in MOVED[motion]]]) == 0


@pytest.mark.parametrize(
    ("motion", "column", "way"),
    [
        ("moving-down", DOWN, 1),
        ("moving-left", RIGHT, -1),
        ("moving-right", RIGHT, 1),
        ("moving-up", DOWN, -1),
    ],
)
def test_a_moving_actor_goes_one_way_at_one_speed(motion, column, way):
    steps = np.diff(shifts(motion)[..., column], axis=1) * way
    assert (steps > 0).all()
    np.testing.assert_allclose(steps, steps[:, :1] * np.ones(29))


def test_a_jump_is_a_parabola_above_where_it_starts():
    heights = -shifts("jumping", num_frames=3000)[..., DOWN]
    assert heights.min() >= 0
    assert (heights.max(axis=1) > 0.3).all()
    curvature = np.diff(heights, n=2, axis=1)
    for bends in curvature:
        flying = bends[bends < 0]  # the rest are the landings
        np.testing.assert_allclose(flying[1:-1], np.median(flying), rtol=1e-3)


def test_a_rolling_actor_turns_as_it_goes():
    moved = np.diff(shifts("rolling"), axis=1)
    np.testing.assert_array_equal(np.sign(moved[..., RIGHT]), np.sign(moved[..., TURN]))
    assert ((moved[..., RIGHT] > 0).any(axis=1) & (moved[..., RIGHT] < 0).any(axis=1)).all()


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("frame", [0, 7, 29])
def test_a_frame_shows_an_actor_anywhere_in_any_turn_and_size(motion, frame):
    starts_3 = np.random.default_rng(1).random((2000, 3))
    places_3 = (starts_3 + shifts(motion, count=2000)[:, frame]) % 1
    for column in range(3):
        assert stats.kstest(places_3[:, column], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(places_3.T) - np.eye(3)).max() < 0.1
