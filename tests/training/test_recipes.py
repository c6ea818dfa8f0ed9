"""Every packaged recipe of the five projects: its real network trains on its real format."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch import nn

from finelens.config.load import load_recipe
from finelens.config.packaged import recipe_names
from finelens.data.manifest import build_manifest
from finelens.data.sources.read import read_source
from finelens.data.splits import complete_splits
from finelens.models.auxiliary import AuxiliaryClassifier
from finelens.models.build import build_classifier
from finelens.models.freeze import apply_freeze, set_training
from finelens.progress import Silent
from finelens.runs.directory import RunDirectory
from finelens.training.best import BestWeights
from finelens.training.fit import Fit
from finelens.training.loop import train_epoch
from finelens.training.optim import build_optimizer
from finelens.training.profile import Profile
from finelens.training.setting import build_setting
from finelens.training.state import TrainingState
from finelens.training.step import Step

# recipe: (source, picture size, weights published for 1000 classes, features of the last layer)
PUBLISHED = {
    "a2d-inception-v3": ("a2d", 299, 27_161_264, 2048),
    "a2d-inception-v3-partial": ("a2d", 299, 27_161_264, 2048),
    "a2d-resnet34": ("a2d", 64, 21_797_672, 512),
    "a2d-pnasnet5": ("a2d", 96, 86_057_668, 4320),
    "a2d-efficientnet-b7": ("a2d", 32, 66_347_960, 2560),
    "a2d-efficientnet-b7-mish": ("a2d", 32, 66_347_960, 2560),
    "a2d-seresnext101": ("a2d", 32, 48_955_416, 2048),
    "a2d-seresnext101-mish": ("a2d", 32, 48_955_416, 2048),
    "voc-resnet18": ("voc", 64, 11_689_512, 512),
    "twelve-alexnet": ("folder", 64, 61_100_840, 4096),
    "twelve-vgg16": ("folder", 32, 138_357_544, 4096),
}
# recipe: (small picture size, weights at 30 frames of 64 x 64 pixels and 11 classes)
_C3D = (
    3 * 27 * 64, 64 * 27 * 128, 128 * 27 * 256, 256 * 27 * 256, 256 * 27 * 512, 512 * 27 * 512,
    512 * 3 * 4 * 4 * 1024 + 1024, 1024 * 1024 + 1024, 1024 * 11 + 11,
)  # fmt: skip
_VGG9 = (
    3 * 9 * 64, 64 * 9 * 128, 128 * 9 * 256, 256 * 9 * 256, 256 * 9 * 512, 512 * 9 * 512,
    512 * 4 * 4 * 2048 + 2048, 2048 * 2048 + 2048, 2048 * 500 + 500, 30 * 500 * 11 + 11,
)  # fmt: skip
_CNN_LSTM = (
    3 * 4 * 8, 8 * 9 * 16, 16 * 25 * 32, 4 * 128 * (32 * 5 * 5 + 128 + 2), 30 * 128 * 11 + 11,
)  # fmt: skip
_CHANNELS, _FEW_CHANNELS = 64 + 128 + 2 * 256 + 2 * 512, 8 + 16 + 32
# a convolution has biases, or its batch norm has scales and shifts
CLIPS = {
    "ucf11-c3d": (16, sum(_C3D) + 2 * _CHANNELS),
    "ucf11-c3d-reported": (16, sum(_C3D) + _CHANNELS),
    "ucf11-vgg9": (16, sum(_VGG9) + 2 * _CHANNELS),
    "ucf11-vgg9-reported": (16, sum(_VGG9) + _CHANNELS),
    "ucf11-cnn-lstm": (32, sum(_CNN_LSTM) + 2 * _FEW_CHANNELS),
    "ucf11-cnn-lstm-1e-3": (32, sum(_CNN_LSTM) + _FEW_CHANNELS),
}
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip


class TwoStepsError(Exception):
    """Ends training after its second weight update."""


@pytest.fixture(scope="session")
def voc_data(tmp_path_factory):
    """Return a VOCdevkit of 20 classes, 10 train and 5 val pictures."""
    devkit = tmp_path_factory.mktemp("voc") / "VOCdevkit"
    lists, pictures = devkit / "VOC2012/ImageSets/Main", devkit / "VOC2012/JPEGImages"
    lists.mkdir(parents=True)
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for split, num in {"train": 10, "val": 5}.items():
        names = [f"{split}_{n:06d}" for n in range(num)]
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for k, of_class in enumerate(VOC_CLASSES):
            signs = [1 if n in {k % num, k // 2 % num} else -1 for n in range(num)]
            rows = zip(names, signs, strict=True)
            text = "".join(f"{name} {sign:2d}\n" for name, sign in rows)
            (lists / f"{of_class}_{split}.txt").write_text(text)
        for name in names:
            pixels = generator.integers(0, 256, (50, 70, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(pictures / f"{name}.jpg")
    return devkit


@pytest.fixture(scope="session")
def twelve_data(tmp_path_factory):
    """Return train/ and validation/ of twelve class folders, two pictures and one of each."""
    root = tmp_path_factory.mktemp("twelve")
    generator = np.random.default_rng(0)
    for split, num in {"train": 2, "validation": 1}.items():
        for k in range(12):
            folder = root / split / f"species {k:02d}"
            folder.mkdir(parents=True)
            for n in range(num):
                pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{n}.png")
    return root


@pytest.fixture
def make_setting(tmp_path, monkeypatch, a2d_data, voc_data, twelve_data, ucf11_all_data):
    """Return a function from a recipe's name to its setting on tiny data of its format."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    roots = {"a2d": a2d_data, "voc": voc_data, "folder": twelve_data, "ucf11": ucf11_all_data}

    def make(name):
        source, size = ("ucf11", CLIPS[name][0]) if name in CLIPS else PUBLISHED[name][:2]
        small = [f"input.size={size}", "model.pretrained=false", "train.batch_size=2"]
        recipe = load_recipe(name, [*small, *(["input.frames=8"] if name in CLIPS else [])])
        manifest = read_source(roots[source], source=recipe.data.source, task=recipe.data.task)
        manifest = complete_splits(manifest, val_fraction=0.2, test_fraction=0.0, seed=recipe.seed)
        run = RunDirectory(tmp_path / "run")
        return build_setting(recipe, manifest, run, bad_files={}, progress=Silent())

    return make


def num_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def num_published(classifier, num_features):
    """Return how many weights the network would have with ImageNet's 1000 classes."""
    nets = [net for net in classifier.auxiliary if isinstance(net, AuxiliaryClassifier)]
    of_auxiliary = sum(num_weights(net.body) + 769 * 1000 for net in nets)
    return num_weights(classifier.backbone) + (num_features + 1) * 1000 + of_auxiliary


def two_steps(setting):
    """Train two weight updates of a setting's first phase; return the state."""
    fit = Fit(setting)
    phase, classifier = fit.phases[0], setting.classifier
    apply_freeze(classifier, freeze=phase.freeze, statistics=phase.freeze_statistics)
    set_training(classifier)
    config = setting.recipe.optimizer
    state = TrainingState(
        classifier,
        best=BestWeights(setting.run.checkpoints, ("loss",)),
        log=None,  # pyright: ignore[reportArgumentType]
        average=None,
        optimizer=build_optimizer(config, classifier, lr=phase.lr, backbone_lr=phase.backbone_lr),
    )

    def after_update(_num_pictures):
        if state.position.update == 2:
            raise TwoStepsError

    with pytest.raises(TwoStepsError):
        loader = setting.loader("train", augmentation=phase.augmentation)
        step = Step(
            fit.rule, classifier, setting.accelerator,
            compiles=False, batch_size=2, num_batches=len(loader), profile=Profile(), say=print,
        )  # fmt: skip
        train_epoch(state, phase, loader, step, after_update=after_update)
    return state


def test_every_recipe_of_the_projects_is_packaged():
    assert {*PUBLISHED, *CLIPS} < set(recipe_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipe_builds_its_real_network_and_trains_two_steps(name, make_setting):
    setting = make_setting(name)
    classifier = setting.classifier
    *_, published, num_features = PUBLISHED[name]
    assert num_published(classifier, num_features) == published
    before = {key: value.clone() for key, value in classifier.named_parameters()}
    state = two_steps(setting)
    assert np.isfinite(state.sums.loss)
    changed = {
        key for key, value in classifier.named_parameters() if not torch.equal(before[key], value)
    }
    trained = {key for key, value in classifier.named_parameters() if value.requires_grad}
    assert changed <= trained
    assert {"head.output.weight", "head.output.bias"} <= changed
    if name in {"a2d-pnasnet5", "a2d-inception-v3"}:
        assert not any(key.startswith("backbone.") for key in trained)
    else:
        assert any(key.startswith("backbone.") for key in changed)
    if name.startswith("a2d-inception"):
        assert "auxiliary.0.output.weight" in changed


def test_nothing_is_cut_from_a_published_train_list(make_setting):
    assert make_setting("voc-resnet18").manifest.splits == {"train": 10, "val": 5}
    assert make_setting("a2d-resnet34").manifest.splits == {"train": 12, "val": 6, "test": 4}


def test_a2d_recipes_know_its_classes_and_leave_the_test_list_unlabelled(make_setting):
    manifest = make_setting("a2d-resnet34").manifest
    assert manifest.task.num_classes == 43
    assert manifest.task.classes[0] == "adult-climbing"
    assert manifest.of_split("test").table["labels"].null_count() == 4


@pytest.mark.parametrize("name", CLIPS)
def test_clip_recipe_builds_its_real_network(name):
    recipe = load_recipe(name)
    assert (recipe.input.frames, recipe.input.size) == (30, 64)
    with torch.device("meta"):
        classifier = build_classifier(recipe.model, 11, size=64, frames=30)
    assert num_weights(classifier) == CLIPS[name][1]


@pytest.mark.parametrize("name", CLIPS)
def test_clip_recipe_trains_two_steps_on_the_eleven_classes(name, make_setting):
    setting = make_setting(name)
    assert setting.task.num_classes == 11
    classifier = setting.classifier
    before = {key: value.clone() for key, value in classifier.named_parameters()}
    state = two_steps(setting)
    assert state.pictures == 4
    assert np.isfinite(state.sums.loss)
    assert not any(
        torch.equal(before[key], value)
        for key, value in classifier.named_parameters()
        if key.endswith("weight")
    )


@pytest.mark.parametrize("name", CLIPS)
def test_a_reported_network_has_the_reports_weights_and_rate_and_a_mended_one_has_others(name):
    recipe = load_recipe(name)
    is_reported = name.endswith(("-reported", "-1e-3"))
    assert (recipe.model.options.get("init") == "normal-0.1") is is_reported
    assert recipe.model.options.get("batch_norm", False) is not is_reported
    assert (recipe.train.clip_norm is None) is is_reported
    if is_reported:
        assert (recipe.optimizer.name, recipe.optimizer.lr) == ("adam", 1e-3)
        assert (recipe.optimizer.weight_decay, recipe.model.head.dropout) == (0, 0)
        assert (recipe.train.batch_size, recipe.train.batches_per_epoch) == (16, 256)
        assert recipe.num_epochs == 128


def test_the_report_held_out_160_of_1600_clips_and_stopped_at_75_percent():
    recipe = load_recipe("ucf11-cnn-lstm-1e-3")
    table = pl.DataFrame({
        "id": [f"{n}" for n in range(1600)],
        "path": [f"clips.npy#{n}" for n in range(1600)],
        "labels": [[f"{n % 11}"] for n in range(1600)],
    })  # fmt: skip
    splits = complete_splits(
        build_manifest(table), val_fraction=recipe.data.val_fraction,
        test_fraction=recipe.data.test_fraction, seed=recipe.seed,
    ).splits  # fmt: skip
    assert splits == {"train": 1440, "val": 160}
    assert (recipe.stop.metric, recipe.stop.target) == ("accuracy", 0.75)
