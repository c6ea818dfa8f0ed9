import pytest
import torch

from finelens.config.schema import ModelConfig
from finelens.models.build import build_classifier
from finelens.models.summary import summarise_network


def over_time(backbone="mobilenetv3_small_050", frames=8, size=32, **settings):
    model = ModelConfig(backbone=backbone, pretrained=False, **settings)
    return build_classifier(model, 3, frames=frames, size=size)


def test_layers_of_c3d_have_the_shapes_that_follow_from_time_and_size():
    found = summarise_network(over_time("clip:c3d", 30, 64, options={"width": 2}),
                              (1, 30, 3, 64, 64))  # fmt: skip
    shapes = [row.output_shape for row in found.layers if row.kind == "MaxPool3d"]
    assert shapes == [
        (1, 2, 30, 32, 32), (1, 4, 15, 16, 16), (1, 8, 7, 8, 8), (1, 16, 3, 4, 4),
    ]  # fmt: skip
    dense = [row.output_shape for row in found.layers if row.kind == "Linear"]
    assert dense == [(1, 1024), (1, 1024), (1, 3)]


@pytest.mark.parametrize(
    "backbone", ["clip:cnn-lstm", "clip:vgg9", "mobilenetv3_small_050", "vit_tiny_patch16_224"]
)
def test_parameters_of_the_layers_add_up_to_the_network(backbone):
    classifier = over_time(backbone, pooling="mean")
    found = summarise_network(classifier, (2, 8, 3, 32, 32))
    assert sum(row.num_parameters for row in found.layers) == classifier.num_parameters
    assert found.num_parameters == found.num_trainable_parameters == classifier.num_parameters


def test_the_text_has_a_line_a_layer_and_the_totals():
    classifier = over_time("clip:cnn-lstm", options={"hidden": 5})
    classifier.backbone.requires_grad_(False)
    lines = str(summarise_network(classifier, (1, 8, 3, 32, 32))).splitlines()
    lstm = next(line for line in lines if "lstm" in line)
    assert lstm.split() == ["backbone.network.lstm", "LSTM", "1", "x", "8", "x", "5", "780"]
    assert lines[1].split() == ["input", "1", "x", "8", "x", "3", "x", "32", "x", "32"]
    head = 8 * 5 * 3 + 3
    assert lines[-1].endswith(f"parameters, {head} trainable")
    assert len({len(line) for line in lines[:1] + lines[2:-1]}) == 1


def test_the_classifier_is_left_as_it_was():
    classifier = over_time(pooling="lstm").train()
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    summarise_network(classifier, (2, 8, 3, 32, 32))
    assert all(module.training for module in classifier.modules())
    assert not any(module._forward_hooks for module in classifier.modules())
    assert all(torch.equal(before[key], value) for key, value in classifier.state_dict().items())
