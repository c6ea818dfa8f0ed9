"""Auxiliary classifiers against torchvision's own Inception and GoogLeNet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, Inception3

from finelens.config.schema import HeadConfig, ModelConfig
from finelens.errors import ModelError
from finelens.models.backbones import create_backbone
from finelens.models.build import build_classifier
from finelens.models.classifier import Classifier
from finelens.models.freeze import apply_freeze, set_training
from finelens.models.weights import load_weights

INCEPTION = "torchvision:inception_v3"
SIZE = 299


def build(name: str = INCEPTION, *, auxiliary: bool = True, num_classes: int = 3) -> Classifier:
    model = ModelConfig(backbone=name, pretrained=False, head=HeadConfig(kind="linear"))
    return build_classifier(model, num_classes, auxiliary=auxiliary)


def pictures(num: int = 2, size: int = SIZE) -> Tensor:
    return torch.randn(num, 3, size, size, generator=torch.Generator().manual_seed(1))


def without_chance(module: nn.Module) -> nn.Module:
    """Return a module that trains, whose batch norms and dropouts do as when scoring."""
    module.eval()
    module.training = True
    return module


def give_theirs(classifier: Classifier, theirs: nn.Module, fcs: dict[str, str]) -> None:
    """Load a torchvision network of K classes into a classifier, by the names of its linears."""
    state = theirs.state_dict()
    own = classifier.backbone.network
    own.load_state_dict({key: state[key] for key in own.state_dict()})
    for net, (name, fc) in zip(classifier.auxiliary, fcs.items(), strict=True):
        body = {key: state[f"{name}.{key}"] for key in net.body.state_dict()}
        net.body.load_state_dict(body)
        net.output.load_state_dict({k: state[f"{name}.{fc}.{k}"] for k in ("weight", "bias")})
    classifier.head.output.load_state_dict({k: state[f"fc.{k}"] for k in ("weight", "bias")})


@pytest.mark.parametrize(
    ("name", "theirs", "fcs"),
    [
        (INCEPTION, Inception3, {"AuxLogits": "fc"}),
        ("torchvision:googlenet", GoogLeNet, {"aux1": "fc2", "aux2": "fc2"}),
    ],
)
def test_training_gives_the_logits_of_torchvisions_own_nets(name, theirs, fcs):
    network = theirs(num_classes=3, aux_logits=True, transform_input=True, init_weights=False)
    classifier = build(name)
    give_theirs(classifier, network, fcs)
    x = pictures()
    with torch.no_grad():
        expected = without_chance(network)(x)
        logits, *auxiliary = without_chance(classifier)(x)
    torch.testing.assert_close(logits, expected[0])
    # GoogLeNet names the later net first
    for ours, their in zip(auxiliary, reversed(expected[1:]), strict=True):
        torch.testing.assert_close(ours, their)


def test_timms_inception_has_its_auxiliary_net_too():
    classifier = build("inception_v3").train()
    logits, auxiliary = classifier(pictures())
    assert logits.shape == auxiliary.shape == (2, 3)


def test_scoring_gives_one_tensor():
    classifier = build().eval()
    with torch.no_grad():
        assert isinstance(classifier(pictures(1)), Tensor)


def test_the_auxiliary_net_sends_gradients_into_the_layers_before_it_alone():
    classifier = build().train()
    _, auxiliary = classifier(pictures())
    auxiliary.sum().backward()
    network = classifier.backbone.network
    assert network.get_parameter("Conv2d_1a_3x3.conv.weight").grad is not None
    assert network.get_parameter("Mixed_7a.branch3x3_1.conv.weight").grad is None
    assert classifier.head.output.weight.grad is None


def test_frozen_convolutions_leave_both_last_layers_to_train():
    classifier = build()
    for freeze in ("backbone", "convolutions"):
        apply_freeze(classifier, freeze=freeze)
        trained = {name for name, p in classifier.named_parameters() if p.requires_grad}
        assert trained == {
            f"{part}.{kind}"
            for part in ("head.output", "auxiliary.0.output")
            for kind in ("weight", "bias")
        }
        set_training(classifier)
        # the backbone scores, and the auxiliary net is heard all the same
        assert len(classifier(pictures())) == 2


def test_freezing_up_to_a_layer_leaves_the_auxiliary_net_to_train():
    classifier = build()
    apply_freeze(classifier, freeze="until:Conv2d_4a_3x3")
    frozen = {
        name.split(".")[2] for name, p in classifier.named_parameters() if not p.requires_grad
    }
    assert frozen == {
        "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3",
    }  # fmt: skip
    assert all(p.requires_grad for p in classifier.auxiliary.parameters())


def test_dropping_leaves_the_network_of_a_plain_classifier():
    classifier = build()
    classifier.drop_auxiliary()
    assert classifier.state_dict().keys() == build(auxiliary=False).state_dict().keys()


def test_a_backbone_without_auxiliary_nets_is_refused_with_those_that_have_some():
    with pytest.raises(ModelError, match=r"resnet18.*auxiliary_weight|auxiliary_weight.*resnet18"):
        create_backbone("resnet18", auxiliary=True)


def test_a_size_too_small_for_the_auxiliary_net_is_refused_with_its_own():
    classifier = build()
    classifier.backbone.check_size(128)
    with pytest.raises(ModelError, match=r"AuxLogits.*128 x 128.*299"):
        classifier.check_size(128)
    assert classifier.training


def test_imagenet_weights_reach_the_auxiliary_body(tmp_path):
    theirs = Inception3(aux_logits=True, init_weights=False)
    torch.save(theirs.state_dict(), tmp_path / "inception.pth")
    classifier = build()
    dropped = load_weights(classifier, tmp_path / "inception.pth")
    assert set(dropped) == {
        "fc.weight", "fc.bias", "AuxLogits.fc.weight", "AuxLogits.fc.bias",
    }  # fmt: skip
    [net] = classifier.auxiliary
    torch.testing.assert_close(net.body.conv1.conv.weight, theirs.AuxLogits.conv1.conv.weight)


def test_own_weights_keep_the_auxiliary_net_where_one_trains_and_lose_it_where_none_does(tmp_path):
    first, path = build(), tmp_path / "own.pth"
    torch.save(first.state_dict(), path)
    second, plain = build(), build(auxiliary=False)
    assert load_weights(second, path) == ()
    torch.testing.assert_close(second.auxiliary.state_dict(), first.auxiliary.state_dict())
    assert all(name.startswith("auxiliary.0.") for name in load_weights(plain, path))
    torch.testing.assert_close(plain.head.state_dict(), first.head.state_dict())


def test_features_that_auxiliary_nets_judge_too_are_not_all_that_trains():
    classifier = build("torchvision:googlenet")
    apply_freeze(classifier, freeze="backbone")
    assert not classifier.has_fixed_features
    classifier.drop_auxiliary()
    assert classifier.has_fixed_features
