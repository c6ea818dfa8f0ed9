import pytest
import torch

from finelens.errors import ModelError
from finelens.models.freeze import apply_freeze, set_training


def trainable(classifier):
    return {name for name, p in classifier.named_parameters() if p.requires_grad}


def step(classifier, size=64):
    set_training(classifier)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    optimizer = torch.optim.SGD((p for p in classifier.parameters() if p.requires_grad), lr=0.1)
    classifier(torch.randn(4, 3, size, size)).square().sum().backward()
    optimizer.step()
    after = classifier.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_nothing_frozen_trains_everything(make_classifier):
    classifier = make_classifier("resnet18")
    apply_freeze(classifier, freeze="none")
    changed = step(classifier)
    assert "backbone.network.conv1.weight" in changed
    assert "backbone.network.bn1.running_mean" in changed
    assert "head.output.weight" in changed


def test_a_frozen_backbone_changes_in_no_weight_and_no_statistic(make_classifier):
    classifier = make_classifier("resnet18", dropout=0.5)
    apply_freeze(classifier, freeze="backbone")
    assert step(classifier) == {"head.output.weight", "head.output.bias"}
    assert not classifier.backbone.training
    assert all(module.training for module in classifier.head.modules())


def test_until_freezes_a_layer_and_all_before_it(make_classifier):
    classifier = make_classifier("resnet18")
    apply_freeze(classifier, freeze="until:layer3")
    changed = step(classifier)
    assert {name.split(".")[2] for name in changed if name.startswith("backbone")} == {"layer4"}
    network = classifier.backbone.network
    assert not network.get_submodule("layer3.0.bn1").training
    assert network.get_submodule("layer4.0.bn1").training


def test_until_reaches_into_blocks(make_classifier):
    classifier = make_classifier("resnet18")
    apply_freeze(classifier, freeze="until:layer2.0.conv2")
    names = trainable(classifier)
    assert "backbone.network.layer2.0.conv1.weight" not in names
    assert "backbone.network.layer2.0.conv2.weight" not in names
    assert "backbone.network.layer1.1.conv2.weight" not in names
    assert {"backbone.network.layer2.0.bn2.weight", "backbone.network.layer2.1.conv1.weight",
            "backbone.network.layer3.0.conv1.weight"} <= names  # fmt: skip


def test_until_freezes_a_transformers_tokens_too(make_classifier):
    classifier = make_classifier("vit_tiny_patch16_224")
    apply_freeze(classifier, freeze="until:blocks.3")
    names = trainable(classifier)
    frozen = {name for name, _ in classifier.named_parameters()} - names
    assert {"backbone.network.cls_token", "backbone.network.pos_embed"} <= frozen
    assert {n.split(".")[3] for n in frozen if ".blocks." in n} == {"0", "1", "2", "3"}
    assert {n.split(".")[3] for n in names if ".blocks." in n} == {str(k) for k in range(4, 12)}


def test_until_knows_torchvisions_inception_layers(make_classifier):
    classifier = make_classifier("torchvision:inception_v3")
    apply_freeze(classifier, freeze="until:Conv2d_4a_3x3")
    frozen = {n for n, _ in classifier.named_parameters()} - trainable(classifier)
    assert {name.split(".")[2] for name in frozen} == {
        "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3",
    }  # fmt: skip


def test_a_dropout_after_the_frozen_layer_trains_and_one_before_it_does_not(make_classifier):
    classifier = make_classifier("torchvision:alexnet")
    apply_freeze(classifier, freeze="until:classifier.1")
    set_training(classifier)
    network = classifier.backbone.network
    assert not network.get_submodule("classifier.0").training
    assert network.get_submodule("classifier.3").training


def test_frozen_statistics_stay_while_scales_train(make_classifier):
    classifier = make_classifier("resnet18")
    apply_freeze(classifier, freeze="none", statistics=True)
    changed = step(classifier)
    assert not any("running" in name or "num_batches" in name for name in changed)
    assert "backbone.network.bn1.weight" in changed


def test_a_later_freeze_forgets_the_earlier(make_classifier):
    classifier = make_classifier("resnet18")
    apply_freeze(classifier, freeze="backbone", statistics=True)
    apply_freeze(classifier, freeze="none")
    set_training(classifier)
    assert all(p.requires_grad for p in classifier.parameters())
    assert all(module.training for module in classifier.modules())


def test_an_unknown_layer_gets_the_nearest_or_the_stages(make_classifier):
    classifier = make_classifier("resnet18")
    with pytest.raises(ModelError, match=r'"resnet18" has no layer "layer33"; did you mean "layer'):
        apply_freeze(classifier, freeze="until:layer33")
    with pytest.raises(ModelError, match="its stages are conv1, layer1, layer2, layer3, layer4"):
        apply_freeze(classifier, freeze="until:Mixed_7c")
    with pytest.raises(ModelError, match='"head" is unknown; use none, backbone, convolutions or'):
        apply_freeze(classifier, freeze="head")
    assert all(p.requires_grad for p in classifier.parameters())
