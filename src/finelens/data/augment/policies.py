"""The policies: sequences of steps that have a name."""

from __future__ import annotations

from finelens.config.training import AugmentStep

_ONE_COLOUR_CHANGE: AugmentStep = {
    "one_of": {
        "steps": [
            {"gamma": {"range": [0.6, 1.2]}},
            {"hue_saturation_value": {"hue": 10, "saturation": 20}},
            {"brightness_contrast": {"brightness": 0.2, "contrast": 0.2}},
        ],
        "p": 0.5,
    }
}
_ONE_BLUR: AugmentStep = {
    "one_of": {
        "steps": [
            {"gaussian_blur": {"kernel": 3}},
            {"motion_blur": {"kernel": 3}},
            {"median_blur": {"kernel": 3}},
        ],
        "p": 0.5,
    }
}
POLICIES: dict[str, tuple[AugmentStep, ...]] = {
    "none": (),
    "light": ({"random_resized_crop": {"scale": [0.6, 1.0]}}, {"flip": {}}),
    "standard": (
        {"random_resized_crop": {"scale": [0.35, 1.0]}},
        {"flip": {}},
        {"color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}},
    ),
    "a2d-inception": (
        {"rotate": {"degrees": 10}},
        {"flip": {"p": 0.5}},
        {"random_scale": {"factor": [0.5, 2.0]}},
        {"random_crop": {"size": 224}},
        {"gaussian_blur": {"kernel": 5, "sigma": [1e-6, 0.6], "p": 0.5}},
    ),
    "a2d-deep": (
        {"resize": {"scale": 8 / 7}},
        {"random_crop": {}},
        {"rotate": {"degrees": 10, "p": 0.5}},
        {"flip": {"p": 0.5}},
        _ONE_COLOUR_CHANGE,
        _ONE_BLUR,
        {"coarse_dropout": {"holes": [1, 5], "size": 8, "p": 0.5}},
    ),
    "voc-rotation": ({"rotate": {"degrees": 10}},),
    "voc-colour-flip": (
        {"rotate": {"degrees": 10}},
        {"color_jitter": {"saturation": 0.05, "hue": 0.05}},
        {"flip": {"p": 0.5}},
    ),
}
"""``a2d-inception`` and ``a2d-deep`` are what published course projects trained Inception-v3 and
deeper networks on A2D frames with; ``voc-rotation`` and ``voc-colour-flip`` are the later phases of
a curriculum on Pascal VOC, which begins with ``none``."""
