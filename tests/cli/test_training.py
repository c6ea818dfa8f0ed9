import json
import shutil

import pytest


def train(command, data, run, tiny_settings, *more):
    arguments = [part for setting in tiny_settings(*more) for part in ("--set", setting)]
    return command("train", "--data", data, "--run", run, *arguments)


def test_train_writes_a_whole_run_and_says_what_to_type_next(
    finelens_command, folder_data, tmp_path, tiny_settings
):
    run = tmp_path / "run"
    code, output, errors = train(finelens_command, folder_data, run, tiny_settings)
    assert (code, errors) == (0, "")
    assert "recipe: finetune (the default" in output
    assert "data: 42 train, 9 val, 9 test; 3 classes, multi-class" in output
    assert f"next: finelens predict {run}" in output.splitlines()[-1]
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert names >= {
        "recipe.yaml", "environment.json", "metrics.jsonl", "summary.json", "report.html",
        "model/weights.safetensors", "model/model.json", "model/classes.json",
        "model/preprocessing.json", "model/decision.json",
        "evaluation/val/scores.parquet", "evaluation/val/metrics.json",
        "evaluation/val/top50.parquet", "evaluation/test/metrics.json",
    }  # fmt: skip


SMALL_CLIPS = ("model.backbone=test_resnet", "model.pretrained=false", "input.size=32",
               "train.num_workers=0")  # fmt: skip


@pytest.mark.parametrize("more", [(), ("input.frames=4",), ("model.pooling=lstm", "model.probe=0")])
def test_clips_are_trained_on_by_their_own_recipe(
    finelens_command, ucf11_data, tmp_path, monkeypatch, more
):
    monkeypatch.chdir(ucf11_data.parent)
    run = tmp_path / "run"
    settings = [*SMALL_CLIPS, "phases.0.epochs=1", *more]
    chosen = [part for setting in settings for part in ("--set", setting)]
    code, output, errors = finelens_command(
        "train", "--data", ucf11_data.name, "--run", run, *chosen
    )
    assert (code, errors) == (0, "")
    assert output.startswith(
        "recipe: finetune-clips (the data are clips; `finelens recipes` lists all)\n"
    )
    frames = 4 if "input.frames=4" in more else 8
    recipe = (run / "recipe.yaml").read_text()
    assert f"frames: {frames}" in recipe
    assert f"path: {ucf11_data.resolve()}" in recipe


def test_folders_of_frames_are_clips_where_frames_are_asked_for(
    finelens_command, folder_data, tmp_path
):
    for source in sorted(folder_data.rglob("*.jpg")):
        clip = tmp_path / "data" / source.parent.name / f"clip{int(source.stem) // 4}"
        clip.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, clip)
    # the rest of the job is as of other clips: an unknown network ends it here
    wanted = ("--set", "model.backbone=resnet81", "--set", "input.frames=2")
    _, output, errors = finelens_command("train", "--data", tmp_path / "data", *wanted)
    assert output.startswith("recipe: finetune-clips (the data are clips;")
    assert "resnet81" in errors
    _, output, _ = finelens_command("train", "--data", tmp_path / "data", *wanted[:2])
    assert output.startswith("recipe: finetune (the default;")


def test_a_setting_that_fits_neither_recipe_is_told_before_data_are_read(finelens_command):
    code, output, errors = finelens_command("train", "--data", "nowhere", "--set", "seeed=1")
    assert (code, output) == (1, "")
    assert "seeed is unknown" in errors


@pytest.mark.parametrize("resize", ["shorter", "squash"])
def test_train_says_how_much_of_a_frame_is_seen(finelens_command, array_data, tmp_path, resize):
    wanted = [*SMALL_CLIPS, "phases.0.epochs=1", "input.frames=2", f"input.resize={resize}",
              "input.crop_fraction=0.875"]  # fmt: skip
    chosen = [part for setting in wanted for part in ("--set", setting)]
    code, output, _ = finelens_command(
        "train", "--data", array_data, "--run", tmp_path / "run", *chosen
    )
    assert code == 0
    # 21 x 21 of 32 x 24 pixels
    told = "seen: the middle 57% of a frame (input.resize: shorter, input.crop_fraction: 0.875)"
    assert (told in output) == (resize == "shorter")


def test_a_probe_that_was_kept_is_told(finelens_command, folder_data, tmp_path, tiny_settings):
    run = tmp_path / "run"
    still = ("optimizer.lr=1e-12", "phases.1.lr=1e-12", "model.head.dropout=0")
    code, output, _ = train(finelens_command, folder_data, run, tiny_settings, *still)
    assert code == 0
    told = [line for line in output.splitlines() if line.startswith("Fine-tuning reached")]
    assert len(told) == 1
    assert told[0].endswith("the probe's weights are the model.")
    assert told[0].removesuffix(".") in (run / "report.html").read_text().replace("&#39;", "'")


def test_an_existing_run_is_not_touched(finelens_command, folder_data, tmp_path, tiny_settings):
    (tmp_path / "mine.txt").write_text("precious")
    code, _, errors = train(finelens_command, folder_data, tmp_path, tiny_settings)
    assert code == 1
    assert "exists already" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer.learning_rate=1", "optimizer.learning_rate is unknown"),
        ("model.backbone=resnet81", "did you mean"),
        ("model.weights=none.safetensors", "none.safetensors"),
        ("phases.0.augment=heavy", "augment"),
        ("phases.0.freeze=until:nowhere", "nowhere"),
        ("loss.name=bce", "multi-class"),
        ("input.frames=30", "clips"),
        ("train.best_by=[f1]", "best_by"),
        ("data.classes=[red, blue]", "green"),
        ("phases.7.epochs=1", "its entries are 0, 1"),
    ],
)
def test_a_wrong_setting_leaves_no_run_behind(
    finelens_command, folder_data, tmp_path, tiny_settings, setting, message
):
    run = tmp_path / "run"
    code, _, errors = train(finelens_command, folder_data, run, tiny_settings, setting)
    assert code == 1
    assert errors.startswith("error: ")
    assert message in errors
    assert errors.count("\n") <= 2
    assert not run.exists()


def empty(folder):
    folder.mkdir()
    return "no picture"


def one_class(folder):
    shutil.copytree(folder.parent / "pictures" / "red", folder / "red")
    return "one class"


def class_without_training_pictures(folder):
    shutil.copytree(folder.parent / "pictures", folder / "train")
    shutil.copytree(folder.parent / "pictures", folder / "val")
    shutil.rmtree(folder / "train" / "red")
    return 'class "red" has no training picture'


def unreadable(folder):
    shutil.copytree(folder.parent / "pictures", folder)
    (folder / "red" / "07.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    return "07.jpg"


def missing(_folder):
    return "does not exist"


@pytest.mark.parametrize(
    "spoil", [empty, one_class, class_without_training_pictures, unreadable, missing]
)
def test_wrong_data_is_one_clear_error(
    finelens_command, folder_data, tmp_path, tiny_settings, spoil
):
    shutil.copytree(folder_data, tmp_path / "pictures")
    message = spoil(tmp_path / "data")
    run = tmp_path / "run"
    code, _, errors = train(finelens_command, tmp_path / "data", run, tiny_settings)
    assert code == 1
    assert message in errors
    assert errors.count("\n") <= 2
    assert not run.exists()


def test_bad_files_are_left_out_on_request_and_counted(
    finelens_command, folder_data, tmp_path, tiny_settings
):
    shutil.copytree(folder_data, tmp_path / "data")
    (tmp_path / "data" / "red" / "07.jpg").write_text("no picture")
    run = tmp_path / "run"
    code, output, _ = train(
        finelens_command, tmp_path / "data", run, tiny_settings, "data.bad_files=skip"
    )
    assert code == 0
    assert "left out 1 unreadable file" in output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["num_bad_files"] == 1
    assert "07.jpg" in (run / "report.html").read_text()


def test_a_test_split_that_could_not_be_cut_is_told(
    finelens_command, folder_data, tmp_path, tiny_settings
):
    for split, number in (("train", 0), ("val", 1)):
        for name in ("blue", "red"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            picture = folder_data / name / f"{number:02d}.jpg"
            shutil.copy(picture, tmp_path / "data" / split / name)
    told = "note: there are too few pictures to cut a test split from, so there will be no test"
    unbuilt = "model.backbone=resnet81"  # ends it once the data are read
    for more, is_told in (((), True), (("data.test_fraction=0",), False)):
        _, output, _ = train(
            finelens_command, tmp_path / "data", tmp_path / "run", tiny_settings, unbuilt, *more
        )
        assert (told in output) == is_told


def test_no_cache_keeps_no_frames(finelens_command, array_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = tmp_path / "run"
    settings = ("model.backbone=test_resnet", "model.pretrained=false", "input.size=32",
                "input.frames=4", "train.num_workers=0", "phases=[{epochs: 1}]")  # fmt: skip
    chosen = [part for setting in settings for part in ("--set", setting)]
    code, _, errors = finelens_command(
        "train", "finetune-clips", "--data", array_data, "--run", run, "--no-cache", *chosen
    )
    assert (code, errors) == (0, "")
    assert not (tmp_path / "cache").exists()
    assert "cache: false" in (run / "recipe.yaml").read_text()


@pytest.mark.parametrize("option", [("--data", "x"), ("--no-cache",)])
def test_resume_takes_nothing_beside_the_run(finelens_command, tmp_path, option):
    code, _, errors = finelens_command("train", "--resume", tmp_path, *option)
    assert code == 1
    assert "give it alone" in errors


def test_resume_of_a_folder_that_is_no_run(finelens_command, tmp_path):
    code, _, errors = finelens_command("train", "--resume", tmp_path)
    assert code == 1
    assert "not a run folder" in errors


def test_train_without_data_says_how_to_give_it(finelens_command, tmp_path):
    code, _, errors = finelens_command("train", "--run", tmp_path / "run")
    assert code == 1
    assert "--data" in errors


def test_tensorboard_events_lie_in_the_run(finelens_command, folder_data, tmp_path, tiny_settings):
    pytest.importorskip("tensorboard")
    run = tmp_path / "run"
    code, _, errors = train(
        finelens_command, folder_data, run, tiny_settings, "train.tensorboard=true"
    )
    assert (code, errors) == (0, "")
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))
