"""The choice of one step among several."""

from __future__ import annotations

from numpy.random import Generator
from torch import Tensor

from finelens.data.augment.settings import InnerSteps, InnerWeights, Probability
from finelens.data.preprocessing import Preprocessing


def one_of(
    view_CHW: Tensor,
    generator: Generator,
    preprocessing: Preprocessing,
    *,
    steps: InnerSteps,
    weights: InnerWeights = None,
    p: Probability = 0.5,
) -> Tensor:
    """Return the view, with probability p after one of the steps.

    Args:
        view_CHW: A picture of any size.
        generator: Draws whether, which, and what the step draws.
        preprocessing: For the step.
        steps: At least one, such as ``{"gamma": {}}``.
        weights: How likely each is, in any unit; None makes them equal.
        p: How likely any is. The chosen step's own p still counts.
    """
    if generator.random() >= p:
        return view_CHW
    shares = None if weights is None else [weight / sum(weights) for weight in weights]
    chosen = int(generator.choice(len(steps), p=shares))
    return steps[chosen](view_CHW, generator, preprocessing)
