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


@pytest.mark.parametrize("pooling", ["mean", "max", "attention", "lstm"])
def test_the_tail_makes_the_logits_of_backbone_features(pooling):
    backbone = create_backbone("test_resnet")
    joined = create_pooling(pooling, backbone.num_features)
    head = create_head("linear", joined.num_features, 3)
    classifier = Classifier(backbone, head, pooling=joined).eval()
    clips_BTCHW = torch.randn(2, 4, 3, 32, 32)
    features_BX = classifier.backbone_features(clips_BTCHW)
    pools_by_weights = pooling in {"attention", "lstm"}
    assert features_BX.shape[1:] == ((4, backbone.num_features) if pools_by_weights else (96,))
    assert torch.equal(classifier.tail(features_BX), classifier(clips_BTCHW))
    apply_freeze(classifier, freeze="backbone")
    trained = [one for one in classifier.parameters() if one.requires_grad]
    assert {id(one) for one in classifier.tail.parameters()} == {id(one) for one in trained}


@pytest.mark.parametrize(
    ("freeze", "is_fixed"), [("backbone", True), ("none", False), ("convolutions", False)]
)
def test_features_are_fixed_where_the_backbone_is_frozen(make_classifier, freeze, is_fixed):
    classifier = make_classifier()
    apply_freeze(classifier, freeze=freeze)
    assert classifier.has_fixed_features is is_fixed
