import colorsys

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from finelens.data.augment.hsv import shift_hsv


def by_colorsys(picture, turn, saturation, value):
    pixels = []
    for red, green, blue in picture.flatten(1).T.tolist():
        h, s, v = colorsys.rgb_to_hsv(red, green, blue)
        s = min(max(s + saturation, 0.0), 1.0)
        pixels.append(colorsys.hsv_to_rgb((h + turn) % 1.0, s, min(max(v + value, 0.0), 255.0)))
    return np.array(pixels).T.reshape(picture.shape)


@pytest.mark.parametrize("turn", [0.0, 0.05, -0.05, 0.5, -0.5])
@pytest.mark.parametrize(
    ("saturation", "value"), [(0, 0), (0.3, 0), (-0.3, 0), (0, 40), (0.1, -40)]
)
def test_shift_agrees_with_colorsys(noise, turn, saturation, value):
    picture = noise(20, 20)
    picture[:, :4] = picture[:1, :4]  # greys
    picture[:, 4, 0], picture[:, 4, 1] = 0, 255
    picture[:2, 5], picture[1:, 6] = 200, 90  # two channels alike
    shifted = shift_hsv(picture, turn=turn, saturation=saturation, value=value)
    assert shifted.dtype == torch.uint8
    expected = by_colorsys(picture, turn, saturation, value)
    assert np.abs(shifted.numpy() - expected).max() <= 0.51


def test_no_shift_changes_nothing_but_rounding(noise):
    assert (shift_hsv(noise()).int() - noise().int()).abs().max() == 0


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.02, 0.3])
def test_turn_agrees_with_torchvisions_adjust_hue(noise, turn):
    difference = shift_hsv(noise(), turn=turn).int() - functional.adjust_hue(noise(), turn).int()
    assert difference.abs().max() <= 1


def test_picture_in_pixel_order_is_taken_too(noise):
    picture = noise()
    turned = picture.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(shift_hsv(turned, turn=0.1), shift_hsv(picture, turn=0.1))
