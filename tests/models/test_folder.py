import dataclasses
import json
import socket

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from finelens.config.schema import ModelConfig
from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.errors import ModelError
from finelens.models.backbones import create_backbone
from finelens.models.build import build_classifier
from finelens.models.classifier import Classifier
from finelens.models.folder import SavedModel, load_model, save_model
from finelens.models.heads import create_head
from finelens.task import Task, TaskKind

FILES = [
    "classes.json", "decision.json", "model.json", "preprocessing.json", "weights.safetensors",
]  # fmt: skip
TASK = Task(TaskKind.MULTI_LABEL, ("ball", "cube", "Kegel-ß"))
DECISION = Decision(
    temperature=1.5, thresholds=(0.2, 0.5, 0.8), threshold=0.5, goal="f1", scope="per_class",
    chosen_on="val (9)",
)  # fmt: skip


@pytest.fixture
def saved(make_classifier):
    classifier = make_classifier(kind="mlp", hidden=4, activation="mish")
    preprocessing = Preprocessing(size=64, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    return SavedModel(classifier, TASK, preprocessing, DECISION, card={"recipe": "demo"})


@pytest.fixture
def folder(saved, tmp_path):
    save_model(tmp_path / "model", saved)
    return tmp_path / "model"


def rewrite(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(content))


def test_a_model_comes_back_as_it_was_saved(saved, folder):
    found = load_model(folder)
    x_BCHW = torch.randn(2, 3, 64, 64)
    saved.classifier.eval()
    assert not any(module.training for module in found.classifier.modules())
    with torch.no_grad():
        assert torch.equal(found.classifier(x_BCHW), saved.classifier(x_BCHW))
    assert (found.task, found.preprocessing, found.decision, found.card) == (
        TASK, saved.preprocessing, DECISION, {"recipe": "demo"},
    )  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_channels_last_weights_and_backbone_options_come_back(tmp_path, saved):
    backbone = create_backbone("mobilenetv2_100", options={"pad_type": "same"}, size=64)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3)).eval()
    classifier.to(memory_format=torch.channels_last)
    save_model(tmp_path / "model", dataclasses.replace(saved, classifier=classifier))
    found = load_model(tmp_path / "model").classifier
    x_BCHW = torch.randn(2, 3, 64, 64)
    assert found.backbone.options == {"pad_type": "same"}
    assert torch.allclose(found(x_BCHW), classifier(x_BCHW), atol=1e-5)


def test_a_transformer_built_for_another_size_comes_back(tmp_path, saved):
    backbone = create_backbone("vit_tiny_patch16_224", options={"depth": 1}, size=64)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3)).eval()
    save_model(tmp_path / "model", dataclasses.replace(saved, classifier=classifier))
    found = load_model(tmp_path / "model").classifier
    x_BCHW = torch.randn(2, 3, 64, 64)
    assert torch.equal(found(x_BCHW), classifier(x_BCHW))


def test_loading_opens_no_connection(folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_model(folder).task == TASK


def test_the_weights_are_plain_safetensors_under_backbone_and_head(folder):
    with safe_open(folder / "weights.safetensors", "pt") as file:
        tops = {key.split(".")[0] for key in file.keys()}  # noqa: SIM118 - no mapping
    assert tops == {"backbone", "head"}


def test_an_old_model_is_replaced_whole(saved, folder):
    (folder / "stale.txt").write_text("of the old one")
    save_model(folder, dataclasses.replace(saved, card={"recipe": "second"}))
    assert load_model(folder).card == {"recipe": "second"}
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_model_that_cannot_be_written_leaves_the_old_one(saved, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ModelError, match="No space left on device"):
        save_model(folder, saved)
    assert load_model(folder).card == {"recipe": "demo"}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_kill_between_the_two_renames_loses_nothing(saved, folder):
    folder.rename(folder.with_name(".model.old"))
    assert load_model(folder).card == {"recipe": "demo"}
    save_model(folder, dataclasses.replace(saved, card={"recipe": "second"}))
    assert load_model(folder).card == {"recipe": "second"}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_a_killed_save_left_is_cleared(saved, folder):
    leftover = folder.with_name(".model.new")
    leftover.mkdir()
    (leftover / "half").write_text("")
    save_model(folder, saved)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_foreign_folder_is_never_replaced(saved, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("")
    with pytest.raises(ModelError, match="exists and is no model folder"):
        save_model(tmp_path / "photos", saved)
    assert (tmp_path / "photos" / "me.jpg").exists()


def test_a_folder_that_is_no_model_is_told(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ModelError, match="is no model folder"):
            load_model(folder)


@pytest.mark.parametrize("name", [name for name in FILES if name != "model.json"])
def test_a_missing_part_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read: No such file"):
        load_model(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1, 2]", b"{}", b'{"size": "x"}'])
def test_a_part_of_foreign_content_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    if name == "decision.json" and content == b"{}":
        assert load_model(folder).decision == Decision()
        return
    with pytest.raises(ModelError, match=name):
        load_model(folder)


def test_truncated_weights_are_named(folder):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"weights\.safetensors"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("model.json", {"format": 2}, "its format is 2, not 1"),
        ("model.json", {"backbone": "resnet81"}, 'backbone "resnet81" is unknown'),
        ("model.json", {"backbone": "hf-hub:timm/resnet18"}, "is unknown"),
        ("model.json", {"backbone": "resnet18"}, "weights.safetensors"),
        ("model.json", {"options": {"checkpoint_path": "x"}}, "checkpoint_path"),
        ("model.json", {"options": []}, "model.json"),
        ("model.json", {"head": {"kind": "linear", "width": 3}}, "width"),
        ("model.json", {"num_classes": 4}, "names 3 classes, and the network has 4"),
        ("model.json", {"head": {"kind": "mlp", "hidden": 0}}, "model.json"),
        ("model.json", {"num_classes": -1}, "model.json"),
        ("model.json", {"backbone": 3}, "model.json"),
        ("classes.json", {"task": "multi"}, "classes.json"),
        ("classes.json", {"classes": ["ball"]}, "names 1 classes"),
        ("decision.json", {"thresholds": [0.5]}, "1 thresholds for 3 classes"),
        ("decision.json", {"temperature": 0}, "temperature"),
        ("preprocessing.json", {"size": -3}, "preprocessing.json"),
    ],
)
def test_parts_that_do_not_belong_together_are_told(folder, name, changes, told):
    rewrite(folder / name, **changes)
    with pytest.raises(ModelError, match=told):
        load_model(folder)


def test_weights_of_other_shapes_name_the_first_key(folder):
    weights = load_file(folder / "weights.safetensors")
    weights["head.output.bias"] = torch.zeros(7)
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r'"head.output.bias" is \[7\], not \[3\]'):
        load_model(folder)


@pytest.mark.parametrize(
    "described",
    [
        *({"backbone": "mobilenetv3_small_050", "pooling": kind, "pooling_hidden": 5}
          for kind in ("mean", "max", "linear", "lstm", "attention")),
        {"backbone": "clip:c3d", "options": {"width": 2, "dense": 8, "batch_norm": True}},
        {"backbone": "clip:vgg9", "options": {"width": 2, "dense": 8, "average": True}},
        {"backbone": "clip:cnn-lstm", "options": {"channels": (2, 3, 4), "hidden": 8}},
        {"backbone": "torchvision:mc3_18"},
    ],
    ids=lambda described: f"{described['backbone']}-{described.get('pooling', '')}",
)  # fmt: skip
def test_a_model_of_clips_comes_back_as_it_was_saved(saved, tmp_path, described):
    model = ModelConfig(pretrained=False, **described)
    classifier = build_classifier(model, 3, size=32, frames=9).eval()
    preprocessing = dataclasses.replace(saved.preprocessing, size=32, frames=9)
    save_model(
        tmp_path / "model",
        dataclasses.replace(saved, classifier=classifier, preprocessing=preprocessing),
    )
    found = load_model(tmp_path / "model").classifier
    x_BTCHW = torch.randn(2, 9, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(x_BTCHW), classifier(x_BTCHW))
    assert found.pooling.settings == classifier.pooling.settings
    assert found.frames == classifier.frames


def test_a_model_saved_before_pooling_had_settings_is_read(folder):
    content = json.loads((folder / "model.json").read_text())
    del content["pooling_settings"], content["frames"]
    (folder / "model.json").write_text(json.dumps(content))
    assert load_model(folder).classifier.pooling.settings == {"kind": "mean"}


def test_a_preprocessing_of_another_number_of_frames_is_told(saved, tmp_path):
    model = ModelConfig(backbone="clip:cnn-lstm", pretrained=False)
    classifier = build_classifier(model, 3, size=32, frames=9)
    for frames in (8, None):
        preprocessing = dataclasses.replace(saved.preprocessing, size=32, frames=frames)
        given = dataclasses.replace(saved, classifier=classifier, preprocessing=preprocessing)
        save_model(tmp_path / "model", given)
        with pytest.raises(ModelError, match=f"has {frames} frames, and the network takes 9"):
            load_model(tmp_path / "model")
