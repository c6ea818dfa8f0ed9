import numpy as np
import pytest

from finelens.data.sampling import Sampling
from finelens.errors import ConfigError


@pytest.mark.parametrize("num_frames", [30, 31, 59, 200, 10_007])
@pytest.mark.parametrize("frames", [1, 2, 8, 30])
def test_spread_frames_are_those_that_hold_the_middles_of_equal_parts(frames, num_frames):
    edges = np.arange(num_frames + 1)
    middles = (np.arange(frames) + 0.5) * num_frames / frames
    expected = np.searchsorted(edges, middles, side="right") - 1
    assert np.array_equal(Sampling(frames).indices(num_frames), expected)


def test_a_clip_of_t_frames_is_taken_whole():
    assert np.array_equal(Sampling(30).indices(30), np.arange(30))


def test_a_short_clip_repeats_its_last_frame():
    assert Sampling(5).indices(3).tolist() == [0, 1, 2, 2, 2]
    assert Sampling(4, stride=2).indices(4).tolist() == [0, 2, 3, 3]


def test_a_stride_counts_from_the_first_frame():
    assert Sampling(4, stride=3).indices(100).tolist() == [0, 3, 6, 9]


def test_frames_before_the_start_are_left_out():
    assert Sampling(4, stride=3, start=5).indices(100).tolist() == [5, 8, 11, 14]
    assert Sampling(4, start=20).indices(40).tolist() == [22, 27, 32, 37]
    assert Sampling(4, start=20).indices(22).tolist() == [20, 21, 21, 21]
    assert Sampling(3, start=9).indices(4).tolist() == [3, 3, 3]


@pytest.mark.parametrize("sampling", [Sampling(5), Sampling(5, 3), Sampling(5, 3, 7)])
def test_the_last_frame_stands_for_others_in_a_clip_that_is_not_long_enough(sampling):
    enough = sampling.num_enough
    taken, fewer = sampling.indices(enough), sampling.indices(enough - 1)
    assert len(set(taken.tolist())) == 5
    assert (fewer[:-1] == taken[:-1]).all()
    assert fewer[-1] == taken[-1] - 1
    if sampling.num_read is not None:
        assert (sampling.indices(enough) == sampling.indices(10 * enough)).all()


@pytest.mark.parametrize(
    ("frames", "stride", "start", "message"),
    [(0, None, 0, "1 or more"), (4, 0, 0, "1 or more"), (4, 1, -1, "start: -1")],
)
def test_values_that_are_too_low_are_refused(frames, stride, start, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(frames, stride, start)
