import torch
from torch import nn

from finelens.training.recording import gradients_kept


def test_gradients_are_put_back():
    parameter, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    parameter.grad = before = torch.full((2,), 3.0)
    with gradients_kept([parameter, other]):
        assert parameter.grad is None
        (parameter.sum() + other.sum()).backward()
        assert torch.equal(parameter.grad, torch.ones(2))
    assert parameter.grad is before
    assert other.grad is None
