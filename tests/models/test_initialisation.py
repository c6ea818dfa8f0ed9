import pytest
import torch
from torch import nn

from finelens.config.schema import ModelConfig
from finelens.errors import ModelError
from finelens.models.build import build_classifier
from finelens.models.initialisation import initialise


def test_default_keeps_the_scale_through_many_rectified_layers():
    layers = [module for _ in range(20) for module in (nn.Linear(512, 512), nn.ReLU())]
    network = nn.Sequential(*layers)
    initialise(network, "default")
    with torch.no_grad():
        scale = network(torch.randn(256, 512)).square().mean().sqrt()
    # torch's own uniform weights would have brought it to 6 ** -10
    assert 0.5 < scale < 2.0


@pytest.mark.parametrize("layer", [
    nn.Conv2d(16, 32, 5), nn.Conv3d(16, 32, 3), nn.Linear(300, 50), nn.LSTM(64, 32),
])  # fmt: skip
def test_normal_weights_have_deviation_a_tenth_and_biases_are_zero(layer):
    initialise(layer, "normal-0.1")
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.1, rel=0.05)
            assert abs(parameter.mean().item()) < 0.01


@pytest.mark.parametrize(
    ("layer", "num_inputs"),
    [
        (nn.Conv2d(16, 64, 5), 16 * 25),
        (nn.Conv3d(16, 64, 3), 16 * 27),
        (nn.Linear(300, 50), 300),
    ],
)
def test_default_weights_have_the_variance_of_he(layer, num_inputs):
    initialise(layer, "default")
    assert layer.weight.var().item() == pytest.approx(2 / num_inputs, rel=0.05)
    assert not layer.bias.any()


def test_an_lstm_starts_with_orthogonal_states_and_an_open_forget_gate():
    layer = nn.LSTM(6, 8)
    initialise(layer, "default")
    for gate in layer.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8))
    for gate in layer.weight_ih_l0.chunk(4):
        assert gate.abs().max() <= (6 / (6 + 8)) ** 0.5
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    assert torch.equal(bias, torch.tensor([0.0] * 8 + [1.0] * 8 + [0.0] * 16))


def test_norms_are_left_as_they_are():
    norm = nn.BatchNorm2d(4)
    initialise(norm, "normal-0.1")
    assert torch.equal(norm.weight, torch.ones(4))


def test_an_unknown_kind_is_told():
    with pytest.raises(ModelError, match=r"did you mean .default"):
        initialise(nn.Linear(2, 2), "defualt")


@pytest.mark.parametrize(("init", "is_normal"), [("normal-0.1", True), ("default", False)])
def test_the_reports_initialisation_reaches_the_head(init, is_normal):
    model = ModelConfig(
        backbone="clip:cnn-lstm", pretrained=False, options={"init": init, "hidden": 32}
    )
    head = build_classifier(model, 11, frames=8, size=32).head_output
    assert (head.weight.std().item() > 0.09) is is_normal
    assert bool(head.bias.any()) is not is_normal
