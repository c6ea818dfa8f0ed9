"""The numbers of the published picture systems, as their recipes hold them."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from finelens.config.load import load_recipe
from finelens.config.packaged import recipe_text
from finelens.training.schedule import build_schedule

INCEPTION = ("a2d-inception-v3", "a2d-inception-v3-partial")
# recipe: (backbone, activation of the head, batch, accumulation, policy, reported P, R and F1)
DEEP = {
    "a2d-resnet34": ("resnet34", "relu", 64, 1, "none", ["48.4, 46.0, 45.8"]),
    "a2d-pnasnet5": ("pnasnet5large", "relu", 64, 1, "none", ["51.3, 54.3, 50.7"]),
    "a2d-efficientnet-b7": (
        "tf_efficientnet_b7", "relu", 24, 3, "none", ["79.2, 77.3, 77.1", "54.1, 54.0, 52.4"],
    ),
    "a2d-efficientnet-b7-mish": (
        "tf_efficientnet_b7", "mish", 24, 3, "a2d-deep", ["78.9, 75.7, 76.0", "56.3, 58.9, 56.1"],
    ),
    "a2d-seresnext101": (
        "seresnext101_32x4d", "relu", 64, 1, "none", ["71.7, 71.8, 71.2", "58.9, 59.8, 57.5"],
    ),
    "a2d-seresnext101-mish": (
        "seresnext101_32x4d", "mish", 64, 1, "a2d-deep", ["84.8, 82.8, 83.0", "60.6, 61.1, 59.2"],
    ),
}  # fmt: skip
TWELVE = {"twelve-alexnet": ("alexnet", "0.94 ", "13"), "twelve-vgg16": ("vgg16", "0.9333", "46")}
VOC = "voc-resnet18"


def rates(recipe):
    """Return the learning rate at the beginning of each of a recipe's epochs."""
    found = []
    for phase in recipe.phases:
        factor = build_schedule(phase.schedule, phase.epochs)
        found += [
            (phase.lr or recipe.optimizer.lr) * factor(epoch) for epoch in range(phase.epochs)
        ]
    return found


def torch_rates(make_scheduler, num_epochs, lr=0.05):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make_scheduler(optimizer)
    found = []
    for _ in range(num_epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", [*INCEPTION, *DEEP, *TWELVE, VOC])
def test_a_recipe_opens_with_what_it_reproduces_its_command_figures_and_time(name):
    opening = recipe_text(name).partition("description:")[0]
    lines = opening.splitlines()
    assert all(line.startswith("#") for line in lines)
    assert "(system S" in " ".join(lines[:2])
    assert f"finelens train {name} --data" in opening
    assert "Reported" in opening
    assert "Expected time" in opening


@pytest.mark.parametrize("name", INCEPTION)
def test_inception_is_that_of_the_first_report(name):
    recipe = load_recipe(name)
    assert recipe.model.backbone == "torchvision:inception_v3"
    assert recipe.model.pretrained
    assert recipe.model.head.kind == "linear"
    assert (recipe.input.size, recipe.input.resize) == (299, "squash")
    assert (recipe.loss.name, recipe.loss.auxiliary_weight) == ("bce", 0.3)
    assert (recipe.optimizer.name, recipe.optimizer.momentum) == ("sgd", 0.9)
    assert (recipe.train.batch_size, recipe.train.accumulate) == (10, 1)
    assert {phase.augment for phase in recipe.phases} == {"a2d-inception"}
    freeze = "convolutions" if name == INCEPTION[0] else "until:Conv2d_4a_3x3"
    assert [phase.freeze for phase in recipe.phases] == [freeze]
    assert "47.6, recall 50.0, F1 46.9" in recipe_text(name)


@pytest.mark.parametrize("name", INCEPTION)
def test_inceptions_rate_is_halved_at_the_five_epochs(name):
    halved = {21, 41, 61, 81, 91}
    expected, rate = [], 0.05
    for epoch in range(1, 101):
        rate *= 0.5 if epoch in halved else 1
        expected.append(rate)
    assert rates(load_recipe(name)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", DEEP)
def test_deeper_networks_are_those_of_the_second_report(name):
    recipe = load_recipe(name)
    backbone, activation, batch, accumulate, policy, figures = DEEP[name]
    assert recipe.model.backbone.partition(".")[0] == backbone
    assert recipe.model.pretrained
    head = recipe.model.head
    assert (head.kind, head.hidden, head.activation, head.dropout) == ("mlp", 256, activation, 0.5)
    assert (recipe.loss.name, recipe.loss.auxiliary_weight) == ("bce", 0)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 5e-5)
    assert (recipe.train.batch_size, recipe.train.accumulate) == (batch, accumulate)
    assert (recipe.train.clip_norm, recipe.train.precision) == (5.0, "auto")
    assert recipe.train.reseed_each_epoch
    assert set(recipe.train.best_by or ()) == {
        "example_precision", "example_recall", "example_f1",
    }  # fmt: skip
    assert recipe.input.size == 224
    assert {phase.augment for phase in recipe.phases} == {policy}
    assert {phase.freeze for phase in recipe.phases} == {
        "backbone" if name == "a2d-pnasnet5" else "none"
    }
    assert all(of_split in recipe_text(name) for of_split in figures)


@pytest.mark.parametrize("name", DEEP)
def test_the_rate_falls_in_two_stages_and_averages_of_weights_follow(name):
    recipe = load_recipe(name)
    cosine, multistep, averaging = recipe.phases
    expected = torch_rates(lambda sgd: CosineAnnealingLR(sgd, T_max=150, eta_min=5e-6), 150)
    expected += torch_rates(
        lambda sgd: MultiStepLR(sgd, [5, 10, 20, 40, 75], gamma=0.25), multistep.epochs
    )
    expected += [0.005] * averaging.epochs
    assert rates(recipe) == pytest.approx(expected, rel=1e-9)
    assert build_schedule(cosine.schedule, 150)(150) * 0.05 == pytest.approx(5e-6)
    assert multistep.epochs > 75
    assert [phase.average_every for phase in recipe.phases] == [None, None, 5]
    assert averaging.epochs % 5 == 0


def test_the_curriculum_is_that_of_the_voc_report():
    recipe = load_recipe(VOC)
    assert recipe.model.backbone.partition(".")[0] == "resnet18"
    assert (recipe.model.pretrained, recipe.model.head.kind) == (True, "linear")
    assert (recipe.input.size, recipe.input.resize, recipe.input.crop_fraction) == (
        224, "shorter", 1.0,
    )  # fmt: skip
    assert [(phase.epochs, phase.augment) for phase in recipe.phases] == [
        (15, "none"), (15, "voc-rotation"), (15, "voc-colour-flip"),
    ]  # fmt: skip
    assert rates(recipe) == [0.02] * 45
    assert recipe.loss.name == "bce"
    assert "0.8565" in recipe_text(VOC)
    assert "0.40" in recipe_text(VOC)


@pytest.mark.parametrize("name", TWELVE)
def test_the_twelve_class_networks_train_from_random_weights_for_100_epochs(name):
    recipe = load_recipe(name)
    network, accuracy, minutes = TWELVE[name]
    assert recipe.model.backbone == f"torchvision:{network}"
    assert not recipe.model.pretrained
    assert (recipe.num_epochs, recipe.optimizer.name) == (100, "sgd")
    assert recipe.loss.name == "cross_entropy"
    assert f"accuracy {accuracy}" in recipe_text(name)
    assert f"took {minutes} minutes" in recipe_text(name)
    assert f"finelens train {name} --data FOLDER --set model.pretrained=true" in recipe_text(name)


def test_the_two_twelve_class_recipes_differ_in_their_network_alone():
    alexnet, vgg16 = (load_recipe(name).model_dump() for name in TWELVE)
    for recipe in (alexnet, vgg16):
        del recipe["description"], recipe["model"]["backbone"]
    assert alexnet == vgg16
