import threading

import numpy as np
import pytest
import torch
from torch import nn

from finelens.config.schema import ModelConfig
from finelens.models.auxiliary import outputs_of
from finelens.models.backbone import Backbone, InputSpec
from finelens.models.build import build_classifier
from finelens.models.classifier import Classifier
from finelens.models.heads import create_head
from finelens.models.saliency import grad_cam, spread
from finelens.models.spatial_layer import SpatialLayer, find_spatial_layer

SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 4, 8)}
PICTURES = {
    "mobilenetv2_100": (96, {}),
    "resnet18": (96, {}),
    "torchvision:squeezenet1_0": (96, {}),
    "torchvision:densenet121": (64, {}),
    "vgg11": (64, {"mlp_ratio": 0.01}),
    "convnext_atto": (96, {}),
    "efficientnet_b0": (96, {}),
    "vit_tiny_patch16_224": (96, {"depth": 3}),
    "swin_tiny_patch4_window7_224": (224, SWIN),
}
CLIPS = [
    {"backbone": "clip:c3d", "options": {"width": 2, "dense": 8}},
    {"backbone": "clip:vgg9", "options": {"width": 2, "dense": 8}},
    {"backbone": "clip:cnn-lstm", "options": {"hidden": 8}},
    {"backbone": "torchvision:mc3_18"},
    {"backbone": "test_resnet", "pooling": "mean"},
    {"backbone": "test_resnet", "pooling": "lstm", "pooling_hidden": 5},
]


def built(name, size, *, frames=None, num_classes=3, **described):
    model = ModelConfig(backbone=name, pretrained=False, **described)
    return build_classifier(model, num_classes, size=size, frames=frames).eval()


def wrapped(network, size, *, num_classes=2, frames=None):
    """Return a network of one's own as a classifier with a linear head."""
    spec = InputSpec(size, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0, frames)
    backbone = Backbone(network, name="own", options={}, input_spec=spec, classifier_names=())
    return Classifier(backbone, create_head("linear", backbone.num_features, num_classes)).eval()


def reference(classifier, x, class_index, layer):
    """Grad-CAM by a whole graph in torch and the sums of the paper in NumPy."""
    for parameter in classifier.parameters():
        parameter.requires_grad = True
    with outputs_of(classifier.backbone.network, [layer.path]) as outputs:
        logits_BK = classifier(x)
    output = outputs[layer.path]
    gradient = torch.autograd.grad(logits_BK[:, class_index].sum(), output)[0]
    maps, gradients = (layer.maps(part).detach().numpy() for part in (output, gradient))
    heat = np.zeros((len(maps), *maps.shape[2:]))
    for example in range(len(maps)):
        for channel in range(maps.shape[1]):
            heat[example] += gradients[example, channel].mean() * maps[example, channel]
    return np.maximum(heat, 0)


@pytest.mark.parametrize("name", PICTURES)
def test_the_heat_of_pictures_is_that_of_the_paper(name):
    size, options = PICTURES[name]
    classifier = built(name, size, options=options)
    assert_is_the_papers(classifier, torch.randn(2, 3, size, size))


@pytest.mark.parametrize("described", CLIPS, ids=[" ".join(map(str, c.values())) for c in CLIPS])
def test_the_heat_of_clips_is_that_of_the_paper(described):
    settings = dict(described)
    size = 32 if "torchvision" in described["backbone"] else 64
    classifier = built(settings.pop("backbone"), size, frames=9, **settings)
    assert_is_the_papers(classifier, torch.randn(2, 9, 3, size, size))


def assert_is_the_papers(classifier, x):
    # what speaks against the one class speaks for the other: of a random network too there is some
    weight_KF = classifier.head_output.weight.data
    weight_KF[1] = -weight_KF[0]
    layer = find_spatial_layer(classifier.backbone, x.shape[-1])
    heats = [grad_cam(classifier, x, class_index, layer) for class_index in (0, 1)]
    expected = [reference(classifier, x, class_index, layer) for class_index in (0, 1)]
    num_times = 1 if x.ndim == 4 else x.shape[1]
    if layer.layout == "volumes":
        num_times = expected[0].shape[1]
    assert heats[0].shape == (2, num_times, *layer.grid)
    found, wanted = torch.cat(heats).numpy(), np.concatenate(expected)
    assert wanted.max() > 0
    np.testing.assert_allclose(
        found.reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-4 * wanted.max()
    )


def test_of_mean_pooling_and_a_linear_head_it_is_the_class_activation_map():
    # Zhou et al. 2016: the maps weighted by the head's own weights
    classifier = built("resnet18", 96)
    layer = find_spatial_layer(classifier.backbone, 96)
    x_BCHW = torch.randn(1, 3, 96, 96)
    with torch.no_grad(), outputs_of(classifier.backbone.network, ["layer4"]) as outputs:
        classifier(x_BCHW)
    weights_F = classifier.head_output.weight[2]
    expected_HW = torch.einsum("f,fhw->hw", weights_F, outputs["layer4"][0]).clamp(min=0) / 9
    heat_BTHW = grad_cam(classifier, x_BCHW, 2, layer)
    torch.testing.assert_close(heat_BTHW[0, 0], expected_HW, rtol=1e-3, atol=1e-6)


class Colours(nn.Module):
    """Two maps: how red and how blue each place is; features are their means."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        weights = torch.zeros(2, 3, 4, 4)
        for channel, (sought, other) in enumerate(((0, 2), (2, 0))):
            weights[channel, sought], weights[channel, other] = 1 / 16, -1 / 16
        self.look.weight = nn.Parameter(weights)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.look(x)).mean(dim=(2, 3))


@pytest.fixture
def colours():
    classifier = wrapped(Colours(), 32)
    classifier.head_output.weight.data = torch.eye(2)
    classifier.head_output.bias.data.zero_()
    return classifier


def square(channel, top, left):
    x_CHW = torch.zeros(3, 32, 32)
    x_CHW[channel, top : top + 8, left : left + 8] = 1
    return x_CHW


def test_it_lies_on_what_speaks_for_the_class_and_nowhere_else(colours):
    layer = find_spatial_layer(colours.backbone, 32)
    picture_CHW = square(0, 4, 20) + square(2, 20, 8)
    for class_index, (row, column) in enumerate(((1, 5), (5, 2))):
        heat_HW = grad_cam(colours, picture_CHW[None], class_index, layer)[0, 0]
        expected_HW = torch.zeros(8, 8)
        expected_HW[row : row + 2, column : column + 2] = 1 / 64
        torch.testing.assert_close(heat_HW, expected_HW)


def test_of_a_clip_it_follows_what_moves_and_leaves_other_frames_dark(colours):
    layer = find_spatial_layer(colours.backbone, 32)
    frames = [square(0, 4, 0), square(2, 4, 8), square(0, 4, 16), square(0, 4, 24)]
    heat_TSS = spread(
        grad_cam(colours, torch.stack(frames)[None], 0, layer), frames=4, size=32
    )[0]  # fmt: skip
    assert [float(heat.max()) for heat in heat_TSS] == pytest.approx([1, 0, 1, 1])
    for time, left in ((0, 0), (2, 16), (3, 24)):
        assert heat_TSS[time, 6:10, left + 2 : left + 6].min() > 0.99
        assert heat_TSS[time, 18:].max() == 0


def test_a_frame_that_the_pooling_overlooks_stays_dark():
    classifier = built("test_resnet", 64, frames=3, pooling="max")
    layer = find_spatial_layer(classifier.backbone, 64)
    x_BTCHW = torch.randn(1, 3, 3, 64, 64)
    x_BTCHW[:, 1] = x_BTCHW[:, 0]  # of equal frames the maximum takes half of each
    heat_THW = grad_cam(classifier, x_BTCHW, 0, layer)[0]
    torch.testing.assert_close(heat_THW[0], heat_THW[1])
    features_TF = classifier.frame_features(x_BTCHW)[0]
    assert (features_TF[2] > features_TF[0]).any()
    assert not torch.allclose(heat_THW[2], heat_THW[0])


class Speeds(nn.Module):
    """One map of volumes, of every second frame: what is brighter than the frame before."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv3d(3, 1, (2, 4, 4), stride=(2, 4, 4), bias=False)
        self.look.weight = nn.Parameter(
            torch.tensor([-1.0, 1.0])[None, None, :, None, None].expand(1, 3, 2, 4, 4).clone()
        )
        self.act = nn.ReLU()

    def forward(self, x_BTCHW):
        return self.act(self.look(x_BTCHW.transpose(1, 2))).mean(dim=(2, 3, 4))


def test_of_a_network_over_time_it_is_spread_over_time():
    classifier = wrapped(Speeds(), 16, num_classes=1, frames=8)
    classifier.head_output.weight.data = torch.ones(1, 1)
    layer = find_spatial_layer(classifier.backbone, 16)
    assert layer == SpatialLayer("act", 0, "volumes", (4, 4))
    clip_TCHW = torch.zeros(8, 3, 16, 16)
    clip_TCHW[5:, :, :4, 12:] = 1  # lights up between frames 4 and 5
    heat_THW = grad_cam(classifier, clip_TCHW[None], 0, layer)[0]
    assert heat_THW.nonzero().tolist() == [[2, 0, 3]]
    heat_TSS = spread(heat_THW[None], frames=8, size=16)[0]
    # the third of four times lies between frames 4 and 5; a quarter of the way off is 3/4
    assert heat_TSS[:, 0, 15].tolist() == pytest.approx([0, 0, 0.0, 0.25, 0.75, 0.75, 0.25, 0])


def test_nothing_for_the_class_is_no_heat(colours):
    layer = find_spatial_layer(colours.backbone, 32)
    heat_BTHW = grad_cam(colours, square(2, 4, 4)[None], 0, layer)
    assert not heat_BTHW.any()
    assert torch.equal(spread(heat_BTHW, frames=1, size=32), torch.zeros(1, 1, 32, 32))


def test_spread_heat_is_1_at_its_hottest_and_linear_between_places():
    heat_BTHW = torch.tensor([[[[0.0, 2.0], [0.0, 4.0]]], [[[8.0, 8.0], [8.0, 8.0]]]])
    found = spread(heat_BTHW, frames=1, size=4)
    rows = [[0, 0.125, 0.375, 0.5], [0, 0.15625, 0.46875, 0.625],
            [0, 0.21875, 0.65625, 0.875], [0, 0.25, 0.75, 1]]  # fmt: skip
    torch.testing.assert_close(found[0, 0], torch.tensor(rows))
    assert torch.equal(found[1, 0], torch.ones(4, 4))


def state_of(module):
    return (
        [(part.training, len(part._forward_hooks)) for part in module.modules()],
        [(p.requires_grad, p.grad is None, p._version) for p in module.parameters()],
        [buffer._version for buffer in module.buffers()],
    )


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_classifier_is_left_as_it_was(name):
    classifier = built(name, 160)
    layer = find_spatial_layer(classifier.backbone, 160)
    for parameter in list(classifier.parameters())[::2]:
        parameter.requires_grad = False
    x_BCHW = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        logits_BK = classifier(x_BCHW)
    classifier.head.train()
    before = state_of(classifier)
    for surrounding in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with surrounding():
            assert grad_cam(classifier, x_BCHW, 0, layer).requires_grad is False
            assert torch.is_grad_enabled() is (surrounding is torch.enable_grad)
        assert state_of(classifier) == before
    classifier.eval()
    with torch.inference_mode():
        assert torch.equal(classifier(x_BCHW), logits_BK)


def test_frozen_weights_and_an_error_on_the_way_change_nothing():
    classifier = built("test_resnet", 64)
    layer = find_spatial_layer(classifier.backbone, 64)
    x_BCHW = torch.randn(1, 3, 64, 64)
    heat_BTHW = grad_cam(classifier, x_BCHW, 1, layer)
    classifier.requires_grad_(False)
    assert torch.equal(grad_cam(classifier, x_BCHW, 1, layer), heat_BTHW)
    before = state_of(classifier)
    with pytest.raises(IndexError):
        grad_cam(classifier, x_BCHW, 7, layer)
    assert state_of(classifier) == before
    assert torch.is_grad_enabled()


def test_other_threads_predict_the_same_meanwhile():
    classifier = built("test_resnet", 64)
    layer = find_spatial_layer(classifier.backbone, 64)
    x_BCHW, other_BCHW = torch.randn(2, 3, 64, 64), torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        expected_BK = classifier(other_BCHW)
    heat_BTHW = grad_cam(classifier, x_BCHW, 0, layer)
    stop, found = threading.Event(), []

    def predict():
        while not stop.is_set():
            with torch.inference_mode():
                found.append(torch.equal(classifier(other_BCHW), expected_BK))

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    same = [torch.equal(grad_cam(classifier, x_BCHW, 0, layer), heat_BTHW) for _ in range(20)]
    stop.set()
    for thread in threads:
        thread.join()
    assert all(same)
    assert found
    assert all(found)
