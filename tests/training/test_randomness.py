import random

import numpy as np
import torch

from finelens.training.randomness import (
    random_state,
    reseed_epoch,
    restore_random_state,
    seed_batch,
)


def drawn():
    return torch.rand(4).tolist(), np.random.rand(4).tolist(), random.random()  # noqa: NPY002


def test_a_batch_has_its_own_randomness_whatever_came_before():
    seed_batch(1, 2, 3)
    first = torch.rand(4)
    torch.rand(100)
    seed_batch(1, 2, 3)
    assert torch.equal(first, torch.rand(4))
    for other in ((0, 2, 3), (1, 3, 3), (1, 2, 4)):
        seed_batch(*other)
        assert not torch.equal(first, torch.rand(4))


def test_reseeding_uses_seed_plus_epoch_for_every_generator():
    reseed_epoch(3, 4)
    values = drawn()
    reseed_epoch(0, 7)
    assert drawn() == values


def test_state_returns_every_generator_to_its_place():
    reseed_epoch(0, 0)
    drawn()
    state = random_state()
    values = drawn()
    restore_random_state(state)
    assert drawn() == values


def test_state_can_be_saved_without_pickle(tmp_path):
    torch.save(random_state(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    values = drawn()
    restore_random_state(state)
    assert drawn() == values
