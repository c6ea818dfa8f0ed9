"""Clips through the verbs of pictures."""

import json
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
from PIL import Image

import finelens
from finelens.api.explain import draw_explanation
from finelens.errors import ConfigError, DataError

SETTINGS = ("model.backbone=test_resnet", "model.pretrained=false", "input.size=32",
            "input.frames=4", "train.batch_size=8", "train.num_workers=0",
            "phases=[{epochs: 1, augment: light}]")  # fmt: skip


@pytest.fixture(scope="module")
def clip_run(tmp_path_factory, ucf11_data):
    """Return a run on tiny UCF-11 clips, its cache in a temporary folder."""
    root = tmp_path_factory.mktemp("clips")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(root / "cache"))
        run = finelens.train("finetune-clips", ucf11_data, settings=SETTINGS, run=root / "run")
    assert list((root / "cache").rglob("*.npy"))
    return run


def test_clips_are_trained_scored_and_reported_by_group(clip_run):
    table = pl.read_parquet(clip_run / "manifest.parquet")
    splits_of_groups = table.group_by("group").agg(pl.col("split").n_unique())
    assert splits_of_groups["split"].max() == 1
    assert (clip_run / "report.html").is_file()
    assert (clip_run / "evaluation/test/top50.parquet").is_file()


def test_predicting_gives_the_scores_of_training(clip_run):
    scores = pl.read_parquet(clip_run / "evaluation/test/scores.parquet")
    predicted = finelens.load(clip_run).predict(scores["path"].to_list())
    columns = [name for name in predicted.columns if name.startswith("probability.")]
    said = predicted.select(columns).to_numpy()
    stored = np.stack(scores["probabilities"].to_list())
    np.testing.assert_allclose(said, stored, atol=1e-6)


def test_a_folder_stands_for_its_videos(clip_run, ucf11_data):
    predicted = finelens.load(clip_run).predict(ucf11_data / "biking")
    assert predicted.height == 12
    assert predicted["error"].null_count() == 12


def test_lstm_pooling_trains_without_a_cache_and_is_saved(tmp_path, array_data, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = [*SETTINGS, "model.pooling=lstm", "model.probe=false", "data.cache=false"]
    run = finelens.train("finetune-clips", array_data, settings=settings, run=tmp_path / "run")
    assert "pooling.body" in "".join(finelens.load(run).saved.classifier.state_dict())
    assert not (tmp_path / "cache").exists()


def test_recipes_for_pictures_and_clips_are_told_apart(tmp_path, ucf11_data, folder_data):
    with pytest.raises(ConfigError, match=r"holds clips.*finetune-clips"):
        finelens.train("finetune", ucf11_data, run=tmp_path / "a")
    with pytest.raises(ConfigError, match=r"is for clips, and .* holds pictures"):
        finelens.train("finetune-clips", folder_data, run=tmp_path / "b")


def test_a_model_of_clips_is_not_evaluated_on_pictures(clip_run, tmp_path):
    for name in ("biking", "walking"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    with pytest.raises(DataError, match=r"holds pictures, and run .* is of clips"):
        finelens.evaluate(clip_run, data=tmp_path)


class Listening:
    """Progress that keeps what is said."""

    def __init__(self):
        self.lines = []

    @contextmanager
    def stage(self, title, total):
        del title, total
        yield lambda _num_items, _note: None

    def say(self, line):
        self.lines.append(line)


@pytest.fixture(scope="module")
def parts_run(tmp_path_factory, write_video):
    """Return a run on parts of ten videos, one of them cut off, and what was said."""
    root = tmp_path_factory.mktemp("parts")
    rows = ["path,label,split,group,start_s,end_s"]
    for n in range(10):
        noise = np.random.default_rng(n).integers(0, 90, (18, 24, 32, 3), dtype=np.uint8)
        for part in range(3):
            noise[6 * part : 6 * part + 6, ..., part] += 120
        write_video(root / f"{n}.avi", noise, rate=5)
        split = ("train", "train", "train", "val", "test")[n % 5]
        for part, label in enumerate(("red", "green", "blue")):
            start_s = 1.2 * part
            rows.append(f"{n}.avi,{label},{split},{n},{start_s:.1f},{start_s + 1.2:.1f}")
    whole = (root / "4.avi").read_bytes()
    (root / "4.avi").write_bytes(whole[: int(0.85 * len(whole))])
    (root / "parts.csv").write_text("\n".join(rows) + "\n")
    heard = Listening()
    settings = [*SETTINGS, "data.cache=false", "input.frames=8"]
    run = finelens.train(
        "finetune-clips", root / "parts.csv", settings=settings, run=root / "run", progress=heard
    )
    return run, heard.lines


def test_training_says_what_is_not_whole_and_how_short_clips_are_padded(parts_run):
    run, lines = parts_run
    notes = json.loads((run / "environment.json").read_text())["notes"]
    assert list(notes) == ["4.avi#2.4-3.6"]
    assert notes["4.avi#2.4-3.6"].startswith("cut off in the middle: ")
    told = [line for line in lines if line.startswith("note: ")]
    assert told[0].startswith("note: 1 of 30 clips are not whole: 4.avi#2.4-3.6 is cut off")
    assert told[1].startswith("note: 30 of 30 clips have fewer than the 8 frames asked for")
    assert told[1].endswith("their last frame is repeated")
    [model] = [line for line in lines if line.startswith("model: ")]
    assert model.startswith("model: test_resnet at 8 frames of 32 pixels, ")
    assert model.endswith(f"; layers: finelens summary {run}")


def test_a_split_of_parts_of_videos_is_predicted_part_by_part(parts_run):
    run, _ = parts_run
    scores = pl.read_parquet(run / "evaluation/test/scores.parquet")
    predicted = finelens.predict(run, split="test")
    assert predicted["id"].to_list() == scores["id"].to_list()
    columns = [name for name in predicted.columns if name.startswith("probability.")]
    np.testing.assert_allclose(
        predicted.select(columns).to_numpy(), np.stack(scores["probabilities"].to_list()), atol=1e-6
    )
    # another part of the same video is another clip
    assert predicted.select(columns).unique().height > 2


def test_predictions_note_a_file_that_is_cut_off(parts_run):
    run, _ = parts_run
    predicted = finelens.predict(run, [run.parent / "4.avi", run.parent / "9.avi"])
    assert predicted["error"].null_count() == 2
    assert predicted["labels"].null_count() == 0
    cut, sound = predicted["note"].to_list()
    assert cut.startswith("cut off in the middle: ")
    assert sound is None


def test_a_clip_is_explained_frame_by_frame_and_drawn(clip_run, ucf11_data):
    clip = next(ucf11_data.glob("walking/*/*.avi"))
    found = finelens.explain(clip_run, clip, "walking")
    assert found.heat.heat_TSS.shape == (4, 32, 32)
    assert found.heat.pictures_THWC.shape == (4, 24, 32, 3)
    sheet = draw_explanation(found, name=clip.name)
    assert sheet.height > 2 * 162  # a frame of 216 x 162 above its heat


def test_clips_of_frames_in_class_folders_are_trained_and_evaluated(tmp_path):
    for n in range(12):
        folder = tmp_path / "data" / ("dark" if n % 2 else "light") / f"{n:02d}"
        folder.mkdir(parents=True)
        for frame in range(5):
            grey = np.full((24, 32, 3), 40 + 150 * (n % 2) + frame, dtype=np.uint8)
            Image.fromarray(grey).save(folder / f"{frame}.png")
    settings = [*SETTINGS, "data.cache=false", "data.val_fraction=0.2", "data.test_fraction=0.2"]
    run = finelens.train("finetune-clips", tmp_path / "data", settings=settings, run=tmp_path / "r")
    evaluation = finelens.evaluate(run, data=tmp_path / "data")
    assert evaluation.metrics["num_examples"] == 12
    # nothing says which clips are of one recording
    assert "12 of 12 clips have no group" in (run / "report.html").read_text()
