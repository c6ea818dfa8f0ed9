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


@pytest.mark.parametrize(("frames", "stride"), [(0, None), (4, 0)])
def test_values_below_one_are_refused(frames, stride):
    with pytest.raises(ConfigError, match="1 or more"):
        Sampling(frames, stride)
