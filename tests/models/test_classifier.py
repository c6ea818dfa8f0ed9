import pytest
import torch

from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.freeze import apply_freeze
from finelens.models.heads import create_head
from finelens.models.pooling import create_pooling


def test_logits_are_the_head_of_the_features(make_classifier):
    classifier = make_classifier(num_classes=4).eval()
    x_BCHW = torch.randn(2, 3, 64, 64)
    features_BF = classifier.features(x_BCHW)
    assert features_BF.shape == (2, classifier.backbone.num_features)
    assert torch.equal(classifier(x_BCHW), classifier.head(features_BF))
    assert classifier.num_classes == 4


def test_channels_last_pictures_give_the_same_logits(make_classifier):
    classifier = make_classifier().eval()
    x_BCHW = torch.randn(2, 3, 64, 64)
    expected_BK = classifier(x_BCHW)
    classifier.to(memory_format=torch.channels_last)
    logits_BK = classifier(x_BCHW.to(memory_format=torch.channels_last))
    assert torch.allclose(logits_BK, expected_BK, atol=1e-5)


def test_parameters_are_counted_total_and_trainable(make_classifier):
    classifier = make_classifier("resnet18", 3)
    # torchvision's ResNet-18 without its 1000 classes, and 3 of ours
    assert classifier.num_parameters == 11_689_512 - 513_000 + 3 * 513
    classifier.backbone.requires_grad_(False)
    assert classifier.num_trainable_parameters == 3 * 513


def test_the_head_output_is_the_last_linear_layer(make_classifier):
    classifier = make_classifier(num_classes=4, kind="mlp", hidden=8)
    assert classifier.head_output.weight.shape == (4, 8)


@pytest.mark.parametrize(
    ("pooling", "freeze", "is_fixed"),
    [
        ("mean", "backbone", True),
        ("max", "backbone", True),
        ("attention", "backbone", False),
        ("mean", "none", False),
        ("mean", "convolutions", False),
    ],
)
def test_features_are_fixed_where_the_head_alone_trains(pooling, freeze, is_fixed):
    backbone = create_backbone("test_resnet")
    joined = create_pooling(pooling, backbone.num_features)
    classifier = Classifier(backbone, create_head("linear", joined.num_features, 3), pooling=joined)
    apply_freeze(classifier, freeze=freeze)
    assert classifier.has_fixed_features is is_fixed
