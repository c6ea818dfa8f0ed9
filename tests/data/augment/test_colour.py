import itertools

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from finelens.data.augment.colour import _recolour


def ramp():
    """Return all greys, shape (3, 16, 16)."""
    return torch.arange(256, dtype=torch.uint8).view(16, 16).expand(3, 16, 16)


@pytest.mark.parametrize("power", [0.6, 0.9, 1.0, 1.2, 2.5])
def test_gamma_equals_torchvisions(apply, noise, power):
    expected = functional.adjust_gamma(noise(), power)
    assert torch.equal(apply("gamma", noise(), range=[power, power]), expected)


def test_gamma_draws_from_its_whole_range(apply):
    greys = [apply("gamma", ramp(), n, range=[0.6, 1.2])[0, 8, 0].item() for n in range(300)]
    powers = np.log(np.array(greys) / 255) / np.log(128 / 255)
    assert 0.59 < powers.min() < 0.62
    assert 1.18 < powers.max() < 1.21
    assert abs(powers.mean() - 0.9) < 0.03


def test_brightness_and_contrast_are_a_clipped_line_with_the_asked_ranges(apply):
    factors, shifts = [], []
    for index in range(300):
        view = apply("brightness_contrast", ramp(), index, brightness=0.2, contrast=0.2)
        values = view[0].flatten().numpy().astype(float)
        inside = (values > 0) & (values < 255)
        factor, shift = np.polyfit(np.arange(256)[inside], values[inside], 1)
        expected = np.clip(np.rint(factor * np.arange(256) + shift), 0, 255)
        assert np.abs(values - expected).max() <= 1
        assert torch.equal(view[0], view[2])
        factors.append(factor)
        shifts.append(shift / 255)
    for draws, middle in ((factors, 1.0), (shifts, 0.0)):
        assert middle - 0.205 < min(draws) < middle - 0.19
        assert middle + 0.19 < max(draws) < middle + 0.205
        assert abs(np.mean(draws) - middle) < 0.02
    assert abs(np.corrcoef(factors, shifts)[0, 1]) < 0.15


def test_hue_saturation_and_value_shifts_are_uniform_and_symmetric(apply):
    picture = torch.tensor([200, 100, 100], dtype=torch.uint8).view(3, 1, 1)
    largest = []
    for setting in ("hue", "saturation", "value"):
        settings = {"hue": 0, "saturation": 0, "value": 0, setting: 20}
        views = [
            apply("hue_saturation_value", picture, n, **settings).flatten().numpy().astype(float)
            for n in range(300)
        ]
        spread = np.array(views) - [200, 100, 100]
        largest.append(np.abs(spread).max(axis=0))
        assert np.all(np.abs(spread.mean(axis=0)) <= np.abs(spread).max(axis=0) * 0.3)
    # hue: 20 of 180 are 40 degrees, 2/3 of a sixth, of a chroma of 100
    assert largest[0].tolist() == pytest.approx([0, 66, 66], abs=1)
    # saturation: 20 of 255 of a value of 200
    assert largest[1].tolist() == pytest.approx([0, 15.7, 15.7], abs=1)
    # value: 20, the other channels in proportion
    assert largest[2].tolist() == pytest.approx([20, 10, 10], abs=1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gamma", {"range": [2.0, 2.0]}),
        ("hue_saturation_value", {}),
        ("brightness_contrast", {}),
        ("color_jitter", {"brightness": 0.5, "hue": 0.2}),
    ],
)
def test_colours_change_with_their_probability(apply, noise, name, settings):
    changed = sum(
        not torch.equal(apply(name, noise(8, 8), n, p=0.3, **settings), noise(8, 8))
        for n in range(400)
    )
    assert 90 < changed < 150


def recoloured(colours, factors, order):
    """Return what brightness (0), contrast (1) and saturation (2) make of colours (N, 3)."""
    luma = [0.2989, 0.587, 0.114]
    for kind in order:
        greys = (colours @ luma)[:, None]
        fixed = (0.0, greys.mean(), greys)[kind]
        colours = factors[kind] * colours + (1 - factors[kind]) * fixed
    return np.clip(np.floor(colours + 0.5), 0, 255)


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 5, 7), (3, 9, 11), (2, 1, 1)])
@pytest.mark.parametrize("is_planar", [False, True])
def test_composed_colour_changes_are_those_one_after_the_other(shape, is_planar):
    frames_THWC = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    frames = torch.from_numpy(frames_THWC).movedim(-1, -3)
    frames = frames.contiguous() if is_planar else frames
    factors = np.array([1.3, 0.6, 1.4])
    for order in itertools.permutations(range(3)):
        found = _recolour(frames, factors, np.array(order))
        for frame_CHW, frame_HWC in zip(found, frames_THWC, strict=True):
            expected = recoloured(frame_HWC.reshape(-1, 3).astype(np.float64), factors, order)
            levels = frame_CHW.movedim(0, -1).reshape(-1, 3).numpy().astype(np.float64)
            assert np.abs(levels - expected).max() <= 1
            assert np.mean(levels != expected) < 0.01
        if len(frames) == 1:
            assert torch.equal(_recolour(frames[0], factors, np.array(order)), found[0])
