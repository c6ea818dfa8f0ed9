"""Which batch norms alone take what a convolution gives."""

from itertools import chain

import pytest
import torch
from torch import nn

from finelens.models.backbone import Backbone, InputSpec
from finelens.models.backbones import create_backbone
from finelens.models.norm_pairs import find_norm_pairs


class Joined(nn.Module):
    """A convolution and a norm, joined in some way, to features."""

    def __init__(self, join):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout2d(0.5)
        self.join = join

    def forward(self, x):
        return self.join(self, x).flatten(2).mean(2)


def backbone_of(join):
    spec = InputSpec(16, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    return Backbone(Joined(join), name="own", options={}, input_spec=spec, classifier_names=())


@pytest.mark.parametrize("mode", [True, False])
def test_a_norm_right_behind_a_convolution_is_its_pair(mode):
    backbone = backbone_of(lambda own, x: own.norm(own.conv(x)).relu()).train(mode)
    [pair] = find_norm_pairs(backbone, 16)
    assert pair.convolution is backbone.network.conv
    assert pair.norm is backbone.network.norm
    assert pair.num_positions == 16 * 16


@pytest.mark.parametrize(
    "join",
    [
        lambda own, x: own.norm(own.conv(x).relu()),
        lambda own, x: own.conv(own.norm(x)),
        # as it trains; a pass for scoring drops nothing
        lambda own, x: own.norm(own.drop(own.conv(x))),
        # another takes what the convolution gave
        lambda own, x: (y := own.conv(x)) + own.norm(y),
        lambda own, x: own.norm(y := own.conv(x)) * y[:, :1],
        # one of the two has two uses
        lambda own, x: own.norm(own.conv(own.conv(x))),
        lambda own, x: own.norm(own.norm(own.conv(x))),
        lambda own, x: own.norm(own.conv(x)) + own.norm(x),
    ],
)
def test_others_are_no_pair(join):
    assert find_norm_pairs(backbone_of(join).train(), 16) == []


@pytest.mark.parametrize(
    ("name", "options", "num_positions"),
    [
        ("clip:vgg9", {"batch_norm": True}, 6 * 64 * 64),
        ("torchvision:r2plus1d_18", {}, 6 * 32 * 32),
    ],
)
def test_positions_of_a_clip_are_those_of_all_its_frames(name, options, num_positions):
    backbone = create_backbone(name, options=options, size=64, frames=6)
    first, *_ = find_norm_pairs(backbone.train(), 64)
    assert first.num_positions == num_positions


def test_a_network_that_asks_for_numbers_has_none():
    backbone = backbone_of(lambda own, x: own.norm(own.conv(x)) * float(x.sum() > 0))
    assert find_norm_pairs(backbone, 16) == []


def test_watching_changes_nothing():
    backbone = backbone_of(lambda own, x: own.norm(own.conv(x)) * torch.rand(1).to(x.device))
    backbone.train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    drawn = torch.get_rng_state()
    assert len(find_norm_pairs(backbone, 16)) == 1
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(tensor, before[n]) for n, tensor in backbone.state_dict().items())
    hooks = [(m._forward_hooks, m._forward_pre_hooks) for m in backbone.modules()]
    assert not any(chain.from_iterable(hooks))
