import pytest

from finelens.models.backbones import create_backbone
from finelens.models.stages import stages

CASES = {
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "mobilenetv3_small_050": ["conv_stem", *(f"blocks.{k}" for k in range(6)), "conv_head"],
    "vit_tiny_patch16_224": ["patch_embed", *(f"blocks.{k}" for k in range(12))],
    "convnext_atto": ["stem", "stages.0", "stages.1", "stages.2", "stages.3"],
    "torchvision:alexnet": ["features.0", "features.3", "features.6", "features.8", "features.10",
                            "classifier"],
    "resnet152": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "torchvision:vit_b_32": ["conv_proj",
                             *(f"encoder.layers.encoder_layer_{k}" for k in range(12))],
}  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), CASES.items())
def test_stages_follow_the_forward_pass_and_hold_every_parameter_once(name, expected):
    backbone = create_backbone(name)
    assert [path for path, _ in stages(backbone)] == expected
    check_every_parameter_is_in_one_stage(backbone)


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_b0",
        "xcit_nano_12_p16_224",
        "crossvit_tiny_240",
        "coat_lite_tiny",  # shares layers between blocks
        "torchvision:densenet121",
    ],
)
def test_any_architecture_has_several_stages_that_hold_every_parameter_once(name):
    backbone = create_backbone(name)
    assert len(stages(backbone)) >= 4
    check_every_parameter_is_in_one_stage(backbone)


def check_every_parameter_is_in_one_stage(backbone):
    held = [id(p) for _, module in stages(backbone) for p in module.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in backbone.parameters()}


def test_norms_and_loose_parameters_join_a_stage_beside_them():
    backbone = create_backbone("vit_tiny_patch16_224")
    found = dict(stages(backbone))
    first = {id(p) for p in found["patch_embed"].parameters()}
    last = {id(p) for p in found["blocks.11"].parameters()}
    named = dict(backbone.network.named_parameters())
    assert {id(named["cls_token"]), id(named["pos_embed"])} <= first
    assert {id(named["norm.weight"]), id(named["norm.bias"])} <= last
