import pytest

from finelens.data.augment.steps import STEPS, build_steps
from finelens.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("random_scale", {"factor": [2.0, 0.5]}, "factor: .*the first must not exceed the second"),
        ("random_scale", {"factor": [0.0, 0.5]}, "random_scale.factor.0: 0.0 does not fit"),
        ("random_scale", {"factor": [1, 11]}, "random_scale.factor.1: 11 does not fit"),
        ("random_scale", {"factor": 2}, "random_scale.factor: 2 does not fit"),
        ("random_scale", {"factor": [True, 2]}, "random_scale.factor.0: true does not fit"),
        ("flip", {"p": True}, "flip.p: true does not fit: it must be a number"),
        ("resize", {"shorter": 0}, "resize.shorter: 0 does not fit"),
        (
            "resize",
            {"longer": 9},
            'resize has no setting "longer"; known are "shorter"',
        ),
        ("random_crop", {"size": 2.5}, "random_crop.size: 2.5 does not fit"),
        ("random_crop", {"size": -1}, "random_crop.size: -1 does not fit"),
        ("rotate", {"degrees": 181}, "rotate.degrees: 181 does not fit"),
        ("gaussian_blur", {"kernel": 4}, "gaussian_blur.kernel: 4 does not fit: it must be odd"),
        ("gaussian_blur", {"kernel": 1}, "gaussian_blur.kernel: 1 does not fit"),
        ("gaussian_blur", {"sigma": [0, 1]}, "gaussian_blur.sigma.0: 0 does not fit"),
        ("gaussian_blur", {"sigma": [2, 1]}, "sigma: .*the first must not exceed the second"),
        ("motion_blur", {"kernel": 65}, "motion_blur.kernel: 65 does not fit"),
        ("median_blur", {"kernel": 6}, "median_blur.kernel: 6 does not fit: it must be odd"),
        ("median_blur", {"kernel": 17}, "median_blur.kernel: 17 does not fit"),
        ("gamma", {"range": [0, 1]}, "gamma.range.0: 0 does not fit"),
        ("gamma", {"range": [1.2, 0.6]}, "gamma.range: .*the first must not exceed the second"),
        ("hue_saturation_value", {"hue": 91}, "hue_saturation_value.hue: 91 does not fit"),
        ("hue_saturation_value", {"value": 256}, "hue_saturation_value.value: 256 does not fit"),
        ("brightness_contrast", {"contrast": 2}, "brightness_contrast.contrast: 2 does not fit"),
        ("coarse_dropout", {"holes": [5, 1]}, "holes: .*the first must not exceed the second"),
        ("coarse_dropout", {"holes": 5}, "coarse_dropout.holes: 5 does not fit"),
        ("coarse_dropout", {"size": 0}, "coarse_dropout.size: 0 does not fit"),
    ],
)
def test_setting_that_does_not_fit_is_named(name, settings, message):
    with pytest.raises(ConfigError, match=message) as raised:
        build_steps([{name: settings}])
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("augment: ")


@pytest.mark.parametrize("name", [name for name in STEPS if "p" in STEPS[name].__kwdefaults__])
def test_probability_lies_between_0_and_1(name):
    for p in (-0.1, 1.1, "often"):
        settings = {"steps": [{"flip": {}}]} if name == "one_of" else {}
        with pytest.raises(ConfigError, match=rf"{name}.p: .* does not fit"):
            build_steps([{name: {**settings, "p": p}}])


def test_all_settings_are_there_with_their_defaults():
    [step] = build_steps([{"gaussian_blur": {"sigma": [0.1, 2]}}])
    assert step.settings == {"kernel": 3, "sigma": (0.1, 2.0), "p": 1.0}
