import numpy as np
import pytest
import torch

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.preprocessing import Preprocessing

NUM_DRAWS = 300


def settings_of(policy):
    """Return each step's name with the settings that were checked."""
    return [(step.name, dict(step.settings)) for step in preprocessed(policy).steps]


def preprocessed(policy, size=224):
    return Augmentation(policy, Preprocessing(size, (0.5,) * 3, (0.5,) * 3, resize="squash"))


def test_a2d_inception_is_that_of_the_report():
    assert settings_of("a2d-inception") == [
        ("rotate", {"degrees": 10, "p": 1}),
        ("flip", {"p": 0.5}),
        ("random_scale", {"factor": (0.5, 2.0)}),
        ("random_crop", {"size": 224}),
        ("gaussian_blur", {"kernel": 5, "sigma": (1e-6, 0.6), "p": 0.5}),
    ]


def test_a2d_inception_ends_at_the_input_size():
    image = np.random.default_rng(0).integers(0, 256, (320, 480, 3), dtype=np.uint8)
    view = preprocessed("a2d-inception", 299)(image, sample_generator(0, 0, 0))
    assert view.shape == (3, 299, 299)


def test_a2d_deep_is_that_of_the_report():
    colour, blur = (
        dict(step.settings) for step in preprocessed("a2d-deep").steps if step.name == "one_of"
    )
    assert [(step.name, dict(step.settings)) for step in colour["steps"]] == [
        ("gamma", {"range": (0.6, 1.2), "p": 1}),
        ("hue_saturation_value", {"hue": 10, "saturation": 20, "value": 0, "p": 1}),
        ("brightness_contrast", {"brightness": 0.2, "contrast": 0.2, "p": 1}),
    ]
    assert [(step.name, dict(step.settings)) for step in blur["steps"]] == [
        ("gaussian_blur", {"kernel": 3, "sigma": None, "p": 1}),
        ("motion_blur", {"kernel": 3, "p": 1}),
        ("median_blur", {"kernel": 3, "p": 1}),
    ]
    assert colour["p"] == blur["p"] == 0.5
    assert colour["weights"] is blur["weights"] is None
    assert [pair for pair in settings_of("a2d-deep") if pair[0] != "one_of"] == [
        ("resize", {"shorter": None, "scale": 8 / 7}),
        ("random_crop", {"size": None}),
        ("rotate", {"degrees": 10, "p": 0.5}),
        ("flip", {"p": 0.5}),
        ("coarse_dropout", {"holes": (1, 5), "size": 8, "p": 0.5}),
    ]


def test_curriculum_is_that_of_the_report():
    assert settings_of("none") == []
    assert settings_of("voc-rotation") == [("rotate", {"degrees": 10, "p": 1})]
    jitter = {"brightness": 0, "contrast": 0, "saturation": 0.05, "hue": 0.05, "p": 1}
    assert settings_of("voc-colour-flip") == [
        ("rotate", {"degrees": 10, "p": 1}),
        ("color_jitter", jitter),
        ("flip", {"p": 0.5}),
    ]


@pytest.mark.parametrize(("policy", "share"), [("a2d-deep", 0.5), ("voc-colour-flip", 0.5)])
def test_half_of_the_views_are_mirrored(policy, share):
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:, :20] = 255
    augmentation = preprocessed(policy, 40)
    views = [augmentation(image, sample_generator(0, 0, n)).float() for n in range(NUM_DRAWS)]
    mirrored = np.mean([view[..., 20:].mean().item() > view[..., :20].mean() for view in views])
    assert abs(mirrored - share) < 0.08


def test_half_of_a2d_deeps_views_have_squares():
    image = np.full((60, 60, 3), 200, dtype=np.uint8)
    augmentation = preprocessed("a2d-deep", 60)
    views = [augmentation(image, sample_generator(0, 0, n)) for n in range(NUM_DRAWS)]
    covered = np.mean([(view == 0).all(dim=0).any().item() for view in views])
    assert abs(covered - 0.5) < 0.08


def test_phases_of_one_key_share_their_turn():
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    turned = preprocessed("voc-rotation", 50)(image, sample_generator(0, 0, 7))
    again = preprocessed([{"rotate": {"degrees": 10}}], 50)(image, sample_generator(0, 0, 7))
    assert torch.equal(turned, again)
