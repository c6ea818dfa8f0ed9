import numpy as np
import pytest
import torch

from finelens.errors import ConfigError

DARKER, BRIGHTER = {"gamma": {"range": [3, 3]}}, {"gamma": {"range": [0.3, 0.3]}}


def outcomes(apply, picture, **settings):
    """Return how often of 400 a view became darker, stayed and became brighter."""
    means = [apply("one_of", picture, n, **settings).float().mean() for n in range(400)]
    signs = np.sign(np.array(means) - picture.float().mean().item())
    return [int((signs == sign).sum()) for sign in (-1, 0, 1)]


@pytest.fixture
def grey():
    return torch.full((3, 4, 4), 128, dtype=torch.uint8)


def test_one_step_is_drawn_with_the_groups_probability(apply, grey):
    darker, same, brighter = outcomes(apply, grey, steps=[DARKER, BRIGHTER], p=0.5)
    assert 165 < same < 235
    assert abs(darker - brighter) < 50


def test_weights_say_how_often(apply, grey):
    settings = {"steps": [DARKER, BRIGHTER], "weights": [3, 1], "p": 1}
    darker, same, brighter = outcomes(apply, grey, **settings)
    assert same == 0
    assert 265 < darker < 335
    assert brighter == 400 - darker


def test_a_step_of_weight_0_never_comes(apply, grey):
    settings = {"steps": [DARKER, BRIGHTER], "weights": [0, 2], "p": 1}
    assert outcomes(apply, grey, **settings) == [0, 0, 400]


def test_chosen_steps_own_probability_counts(apply, grey):
    half = {"gamma": {"range": [3, 3], "p": 0.5}}
    darker, same, _ = outcomes(apply, grey, steps=[half], p=1)
    assert 165 < darker < 235
    assert darker + same == 400


def test_choices_lie_within_each_other(apply, grey):
    inner = {"one_of": {"steps": [DARKER], "p": 1}}
    assert outcomes(apply, grey, steps=[inner], p=1) == [400, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "augment: one_of.steps is missing"),
        ({"steps": []}, r"augment: one_of.steps: \[\] must be a list of steps"),
        ({"steps": 3}, "augment: one_of.steps: 3 must be a list of steps"),
        ({"steps": ["flip"]}, "augment: one_of.steps.0: flip must name one step"),
        ({"steps": [DARKER, {"flop": {}}]}, 'augment: one_of.steps.1: step "flop" is unknown'),
        ({"steps": [{"flip": {"p": 2}}]}, "augment: one_of.steps.0: flip.p: 2 does not fit"),
        ({"steps": [{"flip": 2}]}, "augment: one_of.steps.0: flip needs its settings as keys"),
        (
            {"steps": [DARKER, {"one_of": {"steps": [{"flip": {"q": 1}}]}}]},
            'augment: one_of.steps.1: one_of.steps.0: flip has no setting "q"',
        ),
        ({"steps": [DARKER], "weights": [1, 2]}, "one_of.weights: .*one for each of the 1 steps"),
        ({"steps": [DARKER], "weights": [0]}, "one_of.weights: .*one must be above 0"),
        ({"steps": [DARKER], "weights": [-1]}, "one_of.weights.0: -1 does not fit"),
        ({"steps": [DARKER], "weights": "often"}, "one_of.weights: often does not fit"),
        ({"steps": [DARKER], "p": 2}, "one_of.p: 2 does not fit"),
    ],
)
def test_group_that_does_not_fit_is_named_with_its_place(apply, grey, settings, message):
    with pytest.raises(ConfigError, match=message):
        apply("one_of", grey, **settings)
