"""Batch norms inside the convolutions before them: the same numbers, from fewer passes."""

from contextlib import ExitStack, nullcontext

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finelens.models.backbone import Backbone, InputSpec
from finelens.models.classifier import Classifier
from finelens.models.folding import fold
from finelens.models.freeze import apply_freeze, set_training
from finelens.models.heads import create_head
from finelens.models.precision import depthwise_in_fp32

MANY = 10**6
"""Examples in a batch: every fold is worth it."""


def prepared(classifier, *, freeze="none", statistics=True):
    """Return a classifier whose norms have learned something, ready to train; nothing drops out."""
    torch.manual_seed(0)
    for layer in classifier.modules():
        if isinstance(layer, _BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if hasattr(layer, "drop_prob"):
            layer.drop_prob = 0.0
    apply_freeze(classifier, freeze=freeze, statistics=statistics)
    set_training(classifier)
    return classifier


def gradients(classifier, x, *contexts):
    """Return the gradients of all weights, in one vector."""
    classifier.zero_grad()
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        features = classifier.backbone(x)
    features.square().mean().backward()
    return torch.cat([p.grad.flatten() for p in classifier.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    ("name", "num_pairs"),
    [
        ("test_resnet", 15),
        ("resnet18", 20),
        ("tf_efficientnet_lite0", 49),
        ("seresnext26d_32x4d", 31),
        ("torchvision:mobilenet_v2", 52),
    ],
)
def test_gradients_in_float64_are_those_of_the_layers_as_they_are(make_classifier, name, num_pairs):
    classifier = prepared(make_classifier(name)).double()
    folding = fold(classifier, size=64, num_examples=MANY)
    assert len(folding.pairs) == num_pairs
    x_BCHW = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    plain = gradients(classifier, x_BCHW)
    folded = gradients(classifier, x_BCHW, folding.applied())
    torch.testing.assert_close(folded, plain, rtol=1e-7, atol=1e-10)


def test_a_clip_network_is_folded_over_time():
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), Pool())
    spec = InputSpec(16, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0, frames=4)
    classifier = prepared(as_classifier(network, spec, time_axis=2))
    folding = fold(classifier, size=16, num_examples=MANY)
    [pair] = folding.pairs
    assert pair.num_positions == 2 * 14 * 14
    x_BTCHW = torch.randn(2, 4, 3, 16, 16)
    plain = gradients(classifier, x_BTCHW)
    torch.testing.assert_close(gradients(classifier, x_BTCHW, folding.applied()), plain)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100"])
def test_gradients_in_bf16_are_as_near_those_of_float32(make_classifier, name):
    classifier = prepared(make_classifier(name))
    folding = fold(classifier, size=64, num_examples=MANY)
    plain_error, folded_error = 0.0, 0.0
    for seed in range(4):
        x_BCHW = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        exact = gradients(classifier, x_BCHW)

        def error(form, x_BCHW=x_BCHW, exact=exact):
            mixed = torch.autocast("cpu", torch.bfloat16), form, depthwise_in_fp32(classifier)
            return ((gradients(classifier, x_BCHW, *mixed) - exact).norm() / exact.norm()).item()

        plain_error += error(nullcontext())
        folded_error += error(folding.applied())
    assert 0 < folded_error < 1.25 * plain_error


def test_a_norms_shift_gets_its_gradient_in_float32():
    # of the norm's weight it is one of two large parts that leave a small rest
    network = Own(lambda own, x: own.norm(own.conv(x)) * own.noise)
    network.register_buffer("noise", torch.randn(1, 3, 16, 16))
    classifier = prepared(as_classifier(network))
    folding = fold(classifier, size=16, num_examples=MANY)
    x_BCHW, found = torch.randn(8, 3, 16, 16), []
    for form in (nullcontext(), folding.applied()):
        with torch.autocast("cpu", torch.bfloat16), form:
            total = classifier.backbone(x_BCHW).sum()
        found += torch.autograd.grad(total, [network.norm.bias])
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)


def test_what_the_convolutions_gave_is_not_kept(make_classifier):
    classifier = prepared(make_classifier("resnet18"))
    folding = fold(classifier, size=64, num_examples=MANY)
    x_BCHW = torch.zeros(5, 3, 64, 64)

    def kept(context):
        sizes = {}

        def pack(tensor):
            if tensor.shape[:1] == x_BCHW.shape[:1]:
                sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with context, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = classifier(x_BCHW).sum()
        del loss  # until now nothing has given its memory to another
        return sum(sizes.values())

    assert kept(folding.applied()) < 0.6 * kept(nullcontext())


def test_afterwards_the_layers_are_their_own(make_classifier):
    classifier = prepared(make_classifier("resnet18"))
    folding = fold(classifier, size=64, num_examples=MANY)
    x_BCHW = torch.randn(2, 3, 64, 64)
    before = gradients(classifier, x_BCHW)
    with folding.applied():
        pass
    assert torch.equal(gradients(classifier, x_BCHW), before)


def test_norms_that_learn_statistics_are_left(make_classifier):
    classifier = prepared(make_classifier("resnet18"), statistics=False)
    assert fold(classifier, size=64, num_examples=MANY).pairs == []


def test_a_frozen_convolution_is_left_though_its_norm_trains(make_classifier):
    classifier = prepared(make_classifier("resnet18"), freeze="until:conv1")
    network = classifier.backbone.network
    assert network.bn1.weight.requires_grad
    pairs = fold(classifier, size=64, num_examples=MANY).pairs
    assert len(pairs) == 19
    assert network.bn1 not in {pair.norm for pair in pairs}


def test_frozen_layers_are_left(make_classifier):
    classifier = prepared(make_classifier("resnet18"), freeze="until:layer3")
    network = classifier.backbone.network
    folded = {pair.convolution for pair in fold(classifier, size=64, num_examples=MANY).pairs}
    assert folded == {one for one in network.layer4.modules() if isinstance(one, nn.Conv2d)}
    prepared(classifier, freeze="backbone")
    assert fold(classifier, size=64, num_examples=MANY).pairs == []


def test_a_channel_of_more_weights_than_outputs_is_left(make_classifier):
    classifier = prepared(make_classifier("resnet18"))
    pairs = fold(classifier, size=64, num_examples=32).pairs
    assert 0 < len(pairs) < 20
    # 2 x 2 outputs in the last stage, 9 x 512 weights
    assert classifier.backbone.network.layer4[1].conv2 not in {pair.convolution for pair in pairs}
    assert classifier.backbone.network.conv1 in {pair.convolution for pair in pairs}


class Pool(nn.Module):
    """Pictures or clips to features."""

    def forward(self, x):
        return x.flatten(2).mean(2)


class Own(nn.Module):
    """A convolution and a norm, joined in some way."""

    def __init__(self, join, *, bias=False, affine=True, track=True):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(3, affine=affine, track_running_stats=track)
        self.join = join

    def forward(self, x):
        return self.join(self, x).flatten(2).mean(2)


def as_classifier(network, spec=None, **more):
    spec = spec or InputSpec(16, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    backbone = Backbone(
        network, name="own", options={}, input_spec=spec, classifier_names=(), **more
    )
    return Classifier(backbone, create_head("linear", backbone.num_features, 2))


@pytest.mark.parametrize("more", [{}, {"bias": True}, {"bias": True, "affine": False}])
def test_a_norm_behind_a_convolution_is_folded(more):
    network = Own(lambda own, x: own.norm(own.conv(x)), **more)
    classifier = as_classifier(network)
    apply_freeze(classifier, freeze="none", statistics=True)
    set_training(classifier)
    nn.init.normal_(network.norm.running_mean)
    folding = fold(classifier, size=16, num_examples=MANY)
    assert [(pair.convolution, pair.norm) for pair in folding.pairs] == [
        (network.conv, network.norm)
    ]
    x_BCHW = torch.randn(2, 3, 16, 16)
    plain = gradients(classifier, x_BCHW)
    torch.testing.assert_close(gradients(classifier, x_BCHW, folding.applied()), plain)


def test_a_norm_without_statistics_is_left():
    classifier = as_classifier(Own(lambda own, x: own.norm(own.conv(x)), track=False))
    apply_freeze(classifier, freeze="none", statistics=True)
    set_training(classifier)
    assert fold(classifier, size=16, num_examples=MANY).pairs == []


@pytest.mark.gpu
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_on_a_gpu_gradients_in_bf16_are_as_near_those_of_float32(make_classifier, layout):
    classifier = prepared(make_classifier("resnet18")).to("cuda", memory_format=layout)
    folding = fold(classifier, size=64, num_examples=MANY)
    x_BCHW = torch.randn(8, 3, 64, 64, device="cuda").contiguous(memory_format=layout)
    exact = gradients(classifier, x_BCHW)
    plain, folded = (
        gradients(classifier, x_BCHW, torch.autocast("cuda", torch.bfloat16), form)
        for form in (nullcontext(), folding.applied())
    )
    assert 0 < (folded - exact).norm() < 1.25 * (plain - exact).norm()
