import copy

import pytest
import torch

from finelens.config.training import OptimizerConfig
from finelens.errors import ConfigError, ModelError
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.heads import create_head
from finelens.models.stages import stages
from finelens.training.optim import build_optimizer, parameter_groups


@pytest.fixture
def classifier():
    backbone = create_backbone("resnet18")
    return Classifier(backbone, create_head("linear", backbone.num_features, 3))


def rates(classifier, groups):
    """Map each parameter's name to its group's (rate, weight decay)."""
    names = {parameter: name for name, parameter in classifier.named_parameters()}
    return {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }


def test_head_and_backbone_move_at_their_own_rates(classifier):
    found = rates(classifier, parameter_groups(classifier, lr=0.1, backbone_lr=0.01))
    for name, (rate, _) in found.items():
        assert rate == (0.1 if name.startswith("head.") else 0.01)


def test_every_parameter_is_in_one_group(classifier):
    groups = parameter_groups(classifier, lr=0.1, layer_decay=0.5)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(classifier.parameters()))


def test_the_backbone_takes_the_heads_rate_where_it_has_none(classifier):
    assert {group["lr"] for group in parameter_groups(classifier, lr=0.1)} == {0.1}


def test_biases_and_norms_do_not_decay(classifier):
    found = rates(classifier, parameter_groups(classifier, lr=0.1, weight_decay=0.05))
    for name, parameter in classifier.named_parameters():
        assert found[name][1] == (0.0 if parameter.ndim == 1 else 0.05)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_rates_fall_by_layer_decay_from_the_last_stage_down(name):
    backbone = create_backbone(name)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3))
    groups = parameter_groups(classifier, lr=0.1, backbone_lr=0.01, layer_decay=0.5)
    rate_of = {parameter: group["lr"] for group in groups for parameter in group["params"]}
    top_down = list(reversed(stages(backbone)))
    assert len(top_down) > 3
    for height, (_, stage) in enumerate(top_down):
        for parameter in stage.parameters():
            assert rate_of[parameter] == pytest.approx(0.01 * 0.5**height)
    assert all(rate_of[parameter] == 0.1 for parameter in classifier.head.parameters())


def test_frozen_parameters_are_left_out(classifier):
    classifier.backbone.requires_grad_(False)
    groups = parameter_groups(classifier, lr=0.1)
    assert {group["name"] for group in groups} == {"head"}


def test_the_head_comes_last(classifier):
    assert parameter_groups(classifier, lr=0.1)[-1]["name"] == "head"


def test_a_wholly_frozen_classifier_is_told(classifier):
    classifier.requires_grad_(False)
    with pytest.raises(ModelError, match="every parameter is frozen"):
        parameter_groups(classifier, lr=0.1)


@pytest.mark.parametrize(
    ("config", "kind", "settings"),
    [
        (
            OptimizerConfig(name="sgd", momentum=0.8, nesterov=True),
            torch.optim.SGD,
            {"momentum": 0.8, "nesterov": True},
        ),
        (OptimizerConfig(name="adam", betas=(0.8, 0.9)), torch.optim.Adam, {"betas": (0.8, 0.9)}),
        (OptimizerConfig(name="adamw"), torch.optim.AdamW, {"betas": (0.9, 0.999)}),
    ],
)
def test_build_optimizer_passes_every_setting(classifier, config, kind, settings):
    optimizer = build_optimizer(config, classifier, lr=0.1, backbone_lr=0.01)
    assert type(optimizer) is kind
    for group in optimizer.param_groups:
        assert group["initial_lr"] == group["lr"]
        assert {name: group[name] for name in settings} == settings
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 1e-4}


def test_a_saved_state_continues_bit_for_bit(classifier, tmp_path):
    config = OptimizerConfig(name="adamw")
    optimizer = build_optimizer(config, classifier, lr=0.1, backbone_lr=0.01)
    for parameter in classifier.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    optimizer.step()
    weights = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    optimizer.step()
    expected = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}

    classifier.load_state_dict(weights)
    resumed = build_optimizer(config, classifier, lr=0.1, backbone_lr=0.01)
    resumed.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    resumed.step()
    assert all(torch.equal(v, expected[k]) for k, v in classifier.state_dict().items())


def test_nesterov_without_momentum_is_told(classifier):
    config = OptimizerConfig(nesterov=True, momentum=0.0)
    with pytest.raises(ConfigError, match=r"optimizer\.momentum above 0"):
        build_optimizer(config, classifier, lr=0.1, backbone_lr=None)


def test_biases_and_norms_decay_where_asked_as_in_torchs_own_sgd(classifier):
    groups = parameter_groups(classifier, lr=0.1, weight_decay=0.05, decay_vectors=True)
    assert {decay for _, decay in rates(classifier, groups).values()} == {0.05}


@pytest.mark.parametrize(
    "config",
    [
        OptimizerConfig(name="sgd", momentum=0.9, nesterov=True),
        OptimizerConfig(name="adam"),
        OptimizerConfig(name="adamw", weight_decay=0.05),
    ],
)
def test_fused_updates_are_those_of_torchs_plain_loop(classifier, config):
    plain = copy.deepcopy(classifier)
    optimizers = [
        build_optimizer(config, model, lr=0.01, backbone_lr=0.001) for model in (classifier, plain)
    ]
    assert optimizers[0].param_groups[0]["fused"]
    for group in optimizers[1].param_groups:
        group.update(fused=False, foreach=False)
    for update in range(5):
        generator = torch.Generator().manual_seed(update)
        for one, other in zip(classifier.parameters(), plain.parameters(), strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(classifier.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
