import pytest
import torch
from torch import nn

from finelens.models.forwards import forwards_replaced


def test_layers_compute_otherwise_while_the_block_lasts():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    network, x = nn.Sequential(first, second), torch.randn(3, 2)
    before = network(x)
    with forwards_replaced({first: torch.neg, second: lambda given: 3 * given}):
        assert torch.equal(network(x), -3 * x)
    assert torch.equal(network(x), before)


def test_an_inner_block_gives_way_to_the_outer_one():
    layer, x = nn.Linear(2, 2), torch.randn(3, 2)
    with forwards_replaced({layer: torch.neg}):
        with forwards_replaced({layer: torch.abs}):
            assert torch.equal(layer(x), x.abs())
        assert torch.equal(layer(x), -x)
    assert "forward" not in vars(layer)


def test_an_error_leaves_the_layers_as_they_were():
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), forwards_replaced({layer: torch.neg}):
        raise RuntimeError
    assert "forward" not in vars(layer)
