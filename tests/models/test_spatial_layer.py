import pytest
import torch
from torch import nn

from finelens.errors import ModelError
from finelens.models.auxiliary import outputs_of
from finelens.models.backbone import Backbone, InputSpec
from finelens.models.backbones import create_backbone
from finelens.models.spatial_layer import SpatialLayer, find_spatial_layer

SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 4, 8)}
EXPECTED = [
    ("mobilenetv2_100", {}, 96, SpatialLayer("bn2", 0, "maps", (3, 3))),
    ("mobilenetv3_small_050", {}, 96, SpatialLayer("blocks", 0, "maps", (3, 3))),
    ("resnet18", {}, 96, SpatialLayer("layer4", 0, "maps", (3, 3))),
    ("torchvision:squeezenet1_0", {}, 96, SpatialLayer("classifier.2", 0, "maps", (5, 5))),
    # the rectified last convolution, not the pool behind it
    ("vgg11", {"mlp_ratio": 0.01}, 96, SpatialLayer("features.19", 0, "maps", (6, 6))),
    # works in place on what its last layer gave
    ("torchvision:densenet121", {}, 96, SpatialLayer("features", 0, "maps", (3, 3))),
    ("convnext_atto", {}, 96, SpatialLayer("norm_pre", 0, "maps", (3, 3))),
    ("efficientnet_b0", {}, 96, SpatialLayer("bn2", 0, "maps", (3, 3))),
    ("swin_tiny_patch4_window7_224", SWIN, 224, SpatialLayer("norm", 0, "channels-last", (7, 7))),
    # its last block hands on the class token alone
    ("vit_tiny_patch16_224", {"depth": 3}, 96, SpatialLayer("blocks.1", 0, "tokens", (6, 6), 1)),
    ("test_vit", {"global_pool": "avg"}, 160, SpatialLayer("norm", 0, "tokens", (10, 10), 1)),
    ("pit_ti_224", {}, 224, SpatialLayer("transformers.2.blocks.2", 0, "tokens", (7, 7), 1)),
]  # fmt: skip
CLIPS = [
    ("clip:c3d", {"width": 2, "dense": 8}, SpatialLayer("convolutions.5.1", 0, "volumes", (4, 4))),
    ("clip:vgg9", {"width": 2, "dense": 8}, SpatialLayer("convolutions.5.1", 0, "maps", (4, 4))),
    ("clip:cnn-lstm", {"hidden": 8}, SpatialLayer("convolutions.2.1", 0, "maps", (2, 2))),
    ("torchvision:r3d_18", {}, SpatialLayer("layer4", 0, "volumes", (2, 2))),
]


def built(name, options, size, frames=None):
    return create_backbone(name, options=options, size=size, frames=frames).eval()


@pytest.mark.parametrize(
    ("name", "options", "size", "expected"), EXPECTED, ids=[case[0] for case in EXPECTED]
)
def test_the_layer_is_the_last_that_keeps_places(name, options, size, expected):
    backbone = built(name, options, size)
    layer = find_spatial_layer(backbone, size)
    assert layer == expected
    assert_decides(backbone, layer, torch.randn(2, 3, size, size))
    # of a few cells behind random convolutions that see nearly all, it could not be told
    if layer.layout != "maps":
        assert_keeps_places(backbone, layer, size)


@pytest.mark.parametrize(("name", "options", "expected"), CLIPS, ids=[case[0] for case in CLIPS])
def test_the_layer_of_a_clip_network(name, options, expected):
    backbone = built(name, options, 32, frames=9)
    layer = find_spatial_layer(backbone, 32)
    assert layer == expected
    assert_decides(backbone, layer, torch.randn(2, 9, 3, 32, 32))


def assert_decides(backbone, layer, pair):
    """Give the second example what the layer gave of the first: it has the first's features."""

    def repeat(_module, _inputs, output):
        return output[: len(output) // 2].repeat(2, *(1,) * (output.ndim - 1))

    with torch.no_grad():
        plain_2F = backbone(pair)
        hook = backbone.network.get_submodule(layer.path).register_forward_hook(repeat)
        equal_2F = backbone(pair)
        hook.remove()
    assert not torch.allclose(plain_2F[0], plain_2F[1], atol=1e-5)
    torch.testing.assert_close(equal_2F[1], plain_2F[0], rtol=1e-3, atol=1e-4)


def assert_keeps_places(backbone, layer, size):
    """Change the picture in a corner: that corner of the maps changes more than by another's."""
    picture = 0.2 * torch.randn(1, 3, size, size)
    spot = 2 * torch.randn(1, 3, size // 3, size // 3)
    corners = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]

    def maps(x_BCHW):
        with torch.no_grad(), outputs_of(backbone.network, [layer.path]) as outputs:
            backbone(x_BCHW)
        return layer.maps(outputs[layer.path])

    before, changes = maps(picture), []
    for row, column in corners:
        changed = picture.clone()
        top, left = (int(part * size) - size // 6 for part in (row, column))
        changed[..., top : top + size // 3, left : left + size // 3] += spot
        change_HW = (maps(changed) - before).abs().sum(dim=(0, 1))
        height, width = layer.grid
        changes.append([float(change_HW[int(r * height), int(c * width)]) for r, c in corners])
    assert torch.tensor(changes).argmax(dim=0).tolist() == [0, 1, 2, 3]


def test_a_picture_too_small_for_the_last_maps_takes_earlier_ones():
    assert find_spatial_layer(built("resnet18", {}, 32), 32) == SpatialLayer(
        "layer3", 0, "maps", (2, 2)
    )


def test_a_backbone_without_one_place_for_all_is_told():
    with pytest.raises(
        ModelError, match='no heat map can be drawn for backbone "crossvit_tiny_240'
    ):
        find_spatial_layer(built("crossvit_tiny_240", {}, 240), 240)


class Twice(nn.Module):
    """Uses one layer again, and its branch is as large as its trunk."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.branch = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.act(self.first(x))
        x = self.act(self.branch(x) + x)
        beside = self.act(self.branch(x))  # ends last and is one of two ways
        return (x + beside).mean(dim=(2, 3))


def test_a_layer_that_is_used_again_is_told_by_its_call():
    spec = InputSpec(16, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    backbone = Backbone(Twice(), name="twice", options={}, input_spec=spec, classifier_names=())
    assert find_spatial_layer(backbone.eval(), 16) == SpatialLayer("act", 1, "maps", (16, 16))


def test_finding_leaves_the_network_as_it_is():
    backbone = built("test_vit", {}, 160)
    for parameter in list(backbone.parameters())[:5]:
        parameter.requires_grad = False
    before = state_of(backbone)
    x_BCHW = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        features_BF = backbone(x_BCHW)
        find_spatial_layer(backbone, 160)
        assert torch.equal(backbone(x_BCHW), features_BF)
    assert state_of(backbone) == before
    assert torch.is_grad_enabled()


def state_of(module):
    return (
        [(part.training, len(part._forward_hooks)) for part in module.modules()],
        [(p.requires_grad, p.grad is None, p._version) for p in module.parameters()],
    )
