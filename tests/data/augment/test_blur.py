import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms.v2 import functional


def difference(one, other):
    return (one.int() - other.int()).abs().max().item()


def point(side=9):
    """Return black with one white pixel in the middle."""
    picture = torch.zeros(3, side, side, dtype=torch.uint8)
    picture[:, side // 2, side // 2] = 255
    return picture


@pytest.mark.parametrize("kernel", [3, 5, 9])
@pytest.mark.parametrize("sigma", [0.3, 0.6, 2.0])
def test_gaussian_agrees_with_scipy(apply, noise, kernel, sigma):
    blurred = apply("gaussian_blur", noise(), kernel=kernel, sigma=[sigma, sigma])
    places = np.arange(kernel) - kernel // 2
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    expected = noise().numpy().astype(float)
    for axis in (1, 2):
        expected = ndimage.convolve1d(expected, weights, axis=axis, mode="mirror")
    assert np.abs(blurred.numpy() - expected).max() <= 0.51


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.8), (5, 1.1), (7, 1.4)])
def test_gaussian_without_sigma_follows_opencv(apply, noise, kernel, sigma):
    expected = functional.gaussian_blur(noise(), [kernel, kernel], [sigma, sigma])
    assert difference(apply("gaussian_blur", noise(), kernel=kernel), expected) <= 1


def test_gaussian_of_next_to_no_width_changes_nothing(apply, noise):
    blurred = apply("gaussian_blur", noise(), kernel=5, sigma=[1e-6, 1e-6])
    assert torch.equal(blurred, noise())


def test_gaussian_draws_its_sigma_from_the_range(apply):
    peaks = [
        apply("gaussian_blur", point(), n, kernel=5, sigma=[1e-6, 0.6])[0, 4, 4].item()
        for n in range(300)
    ]
    sharpest = functional.gaussian_blur(point(), [5, 5], [0.6, 0.6])[0, 4, 4].item()
    assert max(peaks) == 255
    assert sharpest <= min(peaks) < sharpest + 8


def test_gaussian_of_a_single_row_blurs_along_it(apply, noise):
    row = noise(1, 50)
    expected = functional.gaussian_blur(row.expand(3, 9, 50), [5, 5], [1.0, 1.0])[:, 4:5]
    assert difference(apply("gaussian_blur", row, kernel=5, sigma=[1, 1]), expected) <= 1


@pytest.mark.parametrize("shape", [(30, 41), (1, 20), (20, 1), (2, 2), (1, 1)])
@pytest.mark.parametrize("kernel", [3, 5, 7, 15])
def test_median_equals_scipys(apply, noise, shape, kernel):
    for seed in range(3):
        picture = noise(*shape, seed=seed)
        expected = ndimage.median_filter(picture.numpy(), size=(1, kernel, kernel), mode="nearest")
        assert np.array_equal(apply("median_blur", picture, kernel=kernel).numpy(), expected)


@pytest.mark.parametrize("kernel", [3, 5, 9])
def test_motion_is_the_convolution_with_its_line(apply, noise, kernel):
    for index in range(40):
        line = apply("motion_blur", point(25), index, kernel=kernel)[0].numpy() / 255
        weights = line[12 - kernel // 2 : 13 + kernel // 2, 12 - kernel // 2 : 13 + kernel // 2]
        assert line.sum() == pytest.approx(1, abs=0.06)
        expected = ndimage.convolve(
            noise()[0].numpy().astype(float), weights / weights.sum(), mode="mirror"
        )
        blurred = apply("motion_blur", noise(), index, kernel=kernel)[0].numpy()
        assert np.abs(blurred - expected).max() < 4


def test_motion_goes_in_every_direction_alike(apply):
    rows, columns = np.mgrid[-8:9, -8:9]
    doubled = []
    for index in range(400):
        line = apply("motion_blur", point(17), index, kernel=9)[0].numpy().astype(float)
        across = (line * rows * columns).sum() * 2
        along = (line * (columns**2 - rows**2)).sum()
        doubled.append(np.arctan2(across, along))
    assert np.hypot(np.cos(doubled).mean(), np.sin(doubled).mean()) < 0.12
    counts = np.histogram(doubled, bins=8, range=(-np.pi, np.pi))[0]
    assert counts.min() > 25


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur", "median_blur"])
def test_blurs_keep_a_plain_colour_to_the_border(apply, name):
    plain = torch.tensor([10, 128, 255], dtype=torch.uint8).view(3, 1, 1).expand(3, 12, 7)
    for index in range(5):
        assert torch.equal(apply(name, plain, index), plain)


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur", "median_blur"])
def test_blurs_happen_with_their_probability(apply, noise, name):
    blurred = sum(
        not torch.equal(apply(name, noise(9, 9), index, p=0.3), noise(9, 9)) for index in range(400)
    )
    assert 90 < blurred < 150
