import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from finelens.data.augment.framing import resize
from finelens.data.augment.generator import sample_generator
from finelens.data.preprocessing import Preprocessing


def test_scale_changes_both_sides_by_one_factor_of_its_range(apply, noise):
    factors = []
    for index in range(300):
        scaled = apply("random_scale", noise(100, 200), index, factor=[0.5, 2.0])
        height, width = scaled.shape[1:]
        assert abs(width - 2 * height) <= 2
        factors.append(width / 200)
    assert 0.5 <= min(factors) < 0.53
    assert 1.97 < max(factors) <= 2.0
    assert abs(np.mean(factors) - 1.25) < 0.08


def test_scale_agrees_with_torchvisions_antialiased_resize(apply, noise):
    scaled = apply("random_scale", noise(), factor=[0.5, 0.5])
    assert torch.equal(scaled, functional.resize(noise(), [15, 20], antialias=True))


@pytest.mark.parametrize(("shape", "expected"), [((64, 96), (32, 48)), ((50, 20), (80, 32))])
def test_resize_brings_the_shorter_side_to_the_input_size(apply, noise, shape, expected):
    assert apply("resize", noise(*shape)).shape[1:] == expected


def test_resize_agrees_with_torchvision(apply, noise):
    picture = noise(60, 90)
    expected = functional.resize(picture, [24], antialias=True)
    assert torch.equal(apply("resize", picture, shorter=24), expected)


def test_resize_of_a_line_stays_small(apply, noise):
    assert apply("resize", noise(1, 5000), shorter=20).shape == (3, 20, 640)


def test_crop_shows_every_place_equally_often(apply):
    picture = torch.arange(10, dtype=torch.uint8).expand(3, 8, 10)
    lefts = [apply("random_crop", picture, index, size=8)[0, 0, 0].item() for index in range(600)]
    counts = np.bincount(lefts)
    assert len(counts) == 3
    assert counts.min() > 150


def test_crop_of_a_large_picture_is_a_part_of_it(apply, noise):
    picture = noise(50, 60)
    crop = apply("random_crop", picture, size=20)
    windows = picture.unfold(1, 20, 1).unfold(2, 20, 1)
    assert (windows == crop[:, None, None]).all(dim=(0, 3, 4)).sum() == 1


@pytest.mark.parametrize("shape", [(25, 25), (20, 40), (40, 28)])
def test_crop_pads_a_small_picture_with_the_mean_colour(apply, noise, shape):
    # the places that torchvision's crop of the same picture can show
    fill = [51.0, 102.0, 153.0]
    reference = v2.RandomCrop(32, pad_if_needed=True, fill=fill)
    torch.manual_seed(0)
    known = {reference(noise(*shape)).numpy().tobytes() for _ in range(1200)}
    drawn = {apply("random_crop", noise(*shape), index).numpy().tobytes() for index in range(400)}
    assert drawn <= known
    assert len(drawn) > 0.8 * len(known)


def test_scale_crop_and_pad_follow_the_input_size_by_default(apply, noise):
    assert apply("random_crop", noise(100, 100)).shape == (3, 32, 32)
    assert apply("random_crop", noise(100, 100), size=50).shape == (3, 50, 50)


@pytest.mark.parametrize("way", ["shorter", "squash", "pad"])
def test_resize_by_scale_sees_what_scoring_sees(noise, way):
    preprocessing = Preprocessing(40, (0.5,) * 3, (0.5,) * 3, resize=way, crop_fraction=1.0)
    generator = sample_generator(0, 0, 0)
    resized = resize(noise(30, 60), generator, preprocessing, scale=1.0)
    if way == "shorter":
        assert resized.shape == (3, 40, 80)
        resized = resized[:, :, 20:60]
        difference = resized.float() - preprocessing(noise(30, 60).permute(1, 2, 0).numpy()).float()
        # scoring crops before it resizes: the two differ at the border alone
        assert difference[:, :, 4:-4].abs().max() <= 1
    else:
        assert torch.equal(resized, preprocessing(noise(30, 60).permute(1, 2, 0).numpy()))
    larger = resize(noise(30, 60), generator, preprocessing, scale=1.5)
    assert min(larger.shape[1:]) == 60
