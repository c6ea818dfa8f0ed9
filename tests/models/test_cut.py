import threading

import pytest
import torch
from torch import nn

from finelens.models.cut import cut_at


class Again(nn.Module):
    """Uses one layer twice, and works in place on what it gave."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x).relu_()).mul_(3)


@pytest.mark.parametrize("call", [0, 1])
def test_the_graph_begins_at_the_layer_s_call_and_gives_what_the_whole_graph_gives(call):
    network, x = Again(), torch.randn(2, 4)
    with cut_at(network, "layer", call=call) as cut:
        cut_value = network(x).sum()
        found = torch.autograd.grad(cut_value, cut.output)[0]
    first = network.layer(x).relu()
    second = network.layer(first)
    entered = (first, second)[call]
    expected = torch.autograd.grad((second * 3).sum(), entered)[0]
    # in place: what is kept of the last call is its product by 3, which the value is the sum of
    torch.testing.assert_close(found, expected if call == 0 else torch.ones(2, 4))
    torch.testing.assert_close(cut.output, entered if call == 0 else entered * 3)
    torch.testing.assert_close(cut_value, (second * 3).sum())


def test_what_lies_before_has_no_graph_and_nothing_is_left_behind():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    x = torch.randn(2, 4, requires_grad=True)
    with cut_at(network, "0") as cut:
        value = network(x).sum()
        assert torch.autograd.grad(value, x, allow_unused=True, retain_graph=True) == (None,)
        torch.autograd.grad(value, cut.output)
    assert not network[0]._forward_hooks
    assert torch.is_grad_enabled()
    assert network(x).sum().requires_grad


def test_other_threads_pass_uncut():
    network, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), torch.randn(2, 4)
    found = []

    def run():
        with torch.no_grad():
            found.append(network(x).requires_grad)

    with cut_at(network, "0"):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert network(x).requires_grad
    assert found == [False]
