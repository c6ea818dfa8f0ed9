import pytest
import torch
from torch import nn
from torch.nn import functional as F

from finelens.errors import ModelError
from finelens.models.heads import create_head


def test_a_linear_head_is_one_linear_layer():
    head = create_head("linear", 5, 3).eval()
    x_BF = torch.randn(4, 5)
    assert torch.equal(head(x_BF), F.linear(x_BF, head.output.weight, head.output.bias))
    assert sorted(head.state_dict()) == ["output.bias", "output.weight"]


@pytest.mark.parametrize(("activation", "function"), [("relu", F.relu), ("mish", F.mish)])
def test_an_mlp_head_has_one_hidden_layer(activation, function):
    head = create_head("mlp", 5, 3, hidden=7, activation=activation, dropout=0.5).eval()
    hidden = head.get_submodule("body.0")
    assert isinstance(hidden, nn.Linear)
    x_BF = torch.randn(4, 5)
    assert torch.equal(head(x_BF), head.output(function(hidden(x_BF))))
    assert hidden.out_features == 7


def test_dropout_acts_while_training_only():
    head = create_head("linear", 400, 1, dropout=0.9)
    x_BF = torch.ones(1, 400)
    assert not torch.equal(head(x_BF), head(x_BF))
    head.eval()
    assert torch.equal(head(x_BF), head(x_BF))


@pytest.mark.parametrize("settings", [{"kind": "linear"}, {"kind": "mlp", "activation": "mish"}])
def test_the_settings_of_a_head_build_it_again(settings):
    head = create_head(num_features=5, num_classes=3, **settings)
    again = create_head(num_features=5, num_classes=3, **head.settings)
    again.load_state_dict(head.state_dict())
    assert again.settings == head.settings


def test_unknown_kinds_and_activations_get_the_known_ones():
    with pytest.raises(ModelError, match='"linaer" is unknown; did you mean "linear"'):
        create_head("linaer", 5, 3)
    with pytest.raises(ModelError, match='"silu" is unknown; known are "relu" and "mish"'):
        create_head("mlp", 5, 3, activation="silu")
