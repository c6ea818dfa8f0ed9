import colorsys

import numpy as np
import pytest

from finelens.data.demo.colour import random_colour, shade


def test_a_random_colour_keeps_to_its_ranges():
    generator = np.random.default_rng(0)
    for _ in range(50):
        colour = random_colour(generator, (0.4, 0.6), (0.5, 0.9), hue=(0.2, 0.3))
        hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
        assert hue == pytest.approx(0.25, abs=0.06)
        assert saturation == pytest.approx(0.5, abs=0.11)
        assert value == pytest.approx(0.7, abs=0.21)


def test_a_shade_stays_a_colour():
    assert shade((100, 200, 10), 0.5) == (50, 100, 5)
    assert shade((100, 200, 10), 2.0) == (200, 255, 20)
