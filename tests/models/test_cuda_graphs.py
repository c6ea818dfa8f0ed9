import random

import numpy as np
import pytest
import torch

from finelens.models.cuda_graphs import HostDrawError, no_draws_on_host


@pytest.mark.parametrize("draw", [random.random, np.random.random, lambda: torch.rand(1)])
def test_a_draw_on_the_host_is_found_and_taken_back(draw):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    with pytest.raises(HostDrawError), no_draws_on_host():
        drawn = draw()
    assert draw() == drawn


def test_draws_are_taken_back_after_another_error_too():
    random.seed(0)
    with pytest.raises(ValueError, match="broken"), no_draws_on_host():
        drawn = random.random()
        raise ValueError("broken")
    assert random.random() == drawn


def test_nothing_drawn_is_no_error():
    with no_draws_on_host():
        torch.ones(3).sum()
