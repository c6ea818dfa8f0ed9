"""Clips through the verbs of pictures."""

import numpy as np
import polars as pl
import pytest

import finelens
from finelens.api.explain import draw_explanation
from finelens.errors import ConfigError

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


def test_a_clip_is_explained_frame_by_frame_and_drawn(clip_run, ucf11_data):
    clip = next(ucf11_data.glob("walking/*/*.avi"))
    found = finelens.explain(clip_run, clip, "walking")
    assert found.heat.heat_TSS.shape == (4, 32, 32)
    assert found.heat.pictures_THWC.shape == (4, 24, 32, 3)
    sheet = draw_explanation(found, name=clip.name)
    assert sheet.height > 2 * 162  # a frame of 216 x 162 above its heat
