import shutil

import pytest

import finelens
from finelens.runs.directory import RunDirectory


def test_a_recipe_is_summed_up_without_data_or_weights(finelens_command):
    code, output, errors = finelens_command(
        "summary", "finetune-clips", "--classes", 11, "--set", "model.backbone=clip:c3d",
        "--set", "model.probe=false", "--set", "input={size: 32, frames: 16}",
        "--set", "model.weights=nowhere.safetensors",
    )  # fmt: skip
    assert (code, errors) == (0, "")
    lines = [line.split() for line in output.splitlines()]
    assert lines[0] == ["layer", "kind", "output", "parameters"]
    assert " ".join(lines[1]) == "input 1 x 16 x 3 x 32 x 32"
    pools = [" ".join(line[2:-1]) for line in lines if line[1:2] == ["MaxPool3d"]]
    assert pools == [
        "1 x 64 x 16 x 16 x 16", "1 x 128 x 8 x 8 x 8",
        "1 x 256 x 4 x 4 x 4", "1 x 512 x 2 x 2 x 2",
    ]  # fmt: skip
    assert lines[-2] == ["head.output", "Linear", "1", "x", "11", f"{1024 * 11 + 11:,}"]


def test_a_size_that_follows_the_pictures_is_the_backbones_own():
    found = finelens.summary("finetune", settings=["model.backbone=mobilenetv3_small_050"])
    assert found.input_shape == (1, 3, 224, 224)
    assert found.layers[-1].output_shape == (1, 10)
    assert finelens.summary("a2d-resnet34").layers[-1].output_shape == (1, 43)
    named = finelens.summary("finetune", settings=["data.classes=[a, b, c]"])
    assert named.layers[-1].output_shape == (1, 3)


def test_a_run_its_model_and_an_unfinished_run_have_one_summary(trained, tmp_path):
    found = finelens.summary(trained)
    classifier = finelens.load(trained).saved.classifier
    assert found.num_parameters == classifier.num_parameters
    assert found.layers[-1].output_shape == (1, 3)
    assert found.input_shape == (1, 3, 32, 32)
    assert finelens.summary(RunDirectory(trained).model) == found
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained, unfinished)
    shutil.rmtree(unfinished / "model")
    assert finelens.summary(unfinished) == found


def test_a_folder_of_a_recipes_name_hides_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert finelens.summary("demo").input_shape == (1, 3, 64, 64)


@pytest.mark.parametrize("option", [("--classes", 3), ("--set", "input.size=64")])
def test_a_run_takes_no_settings(finelens_command, trained, option):
    code, _, errors = finelens_command("summary", trained, *option)
    assert code == 1
    assert "whose network is settled" in errors


@pytest.mark.parametrize(
    ("recipe", "message"),
    [("finetun", 'did you mean "finetune"'), (".", "is not a run folder")],
)
def test_what_is_neither_recipe_nor_run_is_told(finelens_command, recipe, message):
    code, _, errors = finelens_command("summary", recipe)
    assert code == 1
    assert message in errors
    assert errors.count("\n") == 1
