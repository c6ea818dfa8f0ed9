import json
import shutil

import numpy as np
import polars as pl
import pytest

import finelens
from finelens.errors import ConfigError, DataError, RunError


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of a multi-label run that a test may change."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def multi_class(folder_data, tiny_settings, tmp_path):
    return finelens.train(
        "finetune", folder_data, settings=tiny_settings(), run=tmp_path / "multi-class"
    )


def metrics_of(run, split):
    return json.loads((run / "evaluation" / split / "metrics.json").read_text())


def test_saved_thresholds_are_those_that_a_loaded_model_decides_by(run, table_data):
    pictures = sorted(table_data.parent.glob("*.png"))[:6]
    before = finelens.predict(run, pictures)
    decision = finelens.save_thresholds(run, {"red": 1.0, "blue": 0.0})
    after = finelens.predict(run, pictures)
    assert finelens.load(run).saved.decision == decision
    assert all("blue" in labels and "red" not in labels for labels in after["labels"])
    assert after.drop("labels").equals(before.drop("labels"))
    assert [("green" in labels) for labels in after["labels"]] == [
        ("green" in labels) for labels in before["labels"]
    ]


def test_evaluations_and_report_follow_and_are_those_of_evaluating_anew(run):
    expected = finelens.what_if(run, split="val").of_one("red", 0.9)
    finelens.save_thresholds(run, {"red": 0.9})
    for split in ("val", "test"):
        metrics = metrics_of(run, split)
        assert metrics["thresholds"]["red"] == 0.9
        assert metrics["decision"]["edit"]["classes"] == ["red"]
    rows = {row["name"]: row for row in metrics_of(run, "val")["per_class"]}
    assert rows["red"]["recall"] == pytest.approx(expected.recall_K[2])
    assert metrics_of(run, "val")["example"]["f1"] == pytest.approx(expected.averages["example_f1"])
    assert "That of red was set by hand" in (run / "report.html").read_text()
    again = finelens.what_if(run, split="val")
    assert again.own_thresholds[2] == 0.9
    finelens.compare([run])


def test_one_number_sets_all_classes_and_a_second_save_keeps_both_before(run):
    first = finelens.save_thresholds(run, 0.4)
    assert first.thresholds == (0.4,) * 3
    assert (first.scope, first.threshold) == ("global", 0.4)
    second = finelens.save_thresholds(run, {"green": 0.6})
    assert second.thresholds == (0.4, 0.6, 0.4)
    assert second.edit.classes == ("blue", "green", "red")
    names = sorted(path.name for path in (run / "model").glob("decision*"))
    assert names == ["decision-0001.json", "decision-0002.json", "decision.json"]


def test_evaluations_of_an_older_decision_are_recognised_and_mended(run):
    # as a kill after the decision and before the evaluations leaves it
    path = run / "model" / "decision.json"
    content = json.loads(path.read_text()) | {"thresholds": [0.9, 0.9, 0.9]}
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"was computed with another decision.*finelens evaluate"):
        finelens.compare([run])
    finelens.evaluate(run, split="test")
    assert metrics_of(run, "val")["thresholds"] == {"blue": 0.9, "green": 0.9, "red": 0.9}
    finelens.compare([run])


def test_a_multi_class_model_says_nothing_below_its_threshold(multi_class, folder_data):
    run = multi_class
    what_if = finelens.what_if(run, split="test")
    probabilities = np.stack(
        pl.read_parquet(run / "evaluation/test/scores.parquet")["probabilities"].to_list()
    )
    threshold = float(np.median(probabilities.max(axis=1)))
    expected = what_if.of_all(threshold)
    assert 0 < expected.confusion[:, -1].sum() < len(probabilities)
    finelens.save_thresholds(run, threshold)
    metrics = metrics_of(run, "test")
    assert metrics["accuracy"] == pytest.approx(expected.averages["accuracy"])
    assert metrics["confusion_matrix"] == expected.confusion[:, :-1].tolist()
    said = finelens.predict(run, folder_data, batch_size=64)["labels"].list.len()
    assert set(said.unique()) == {0, 1}
    report = (run / "report.html").read_text()
    assert "otherwise nothing" in report
    # where it may say nothing, its averages over pictures are no longer the accuracy
    assert "example precision" in report.lower()


def test_what_cannot_be_saved_is_told_and_changes_nothing(run):
    before = (run / "model/decision.json").read_bytes()
    with pytest.raises(DataError, match='did you mean "red"'):
        finelens.save_thresholds(run, {"rde": 0.5})
    with pytest.raises(ConfigError, match="must be a number from 0 to 1"):
        finelens.save_thresholds(run, 2.0)
    with pytest.raises(ConfigError, match="no threshold is given"):
        finelens.save_thresholds(run, {})
    with pytest.raises(RunError, match="does not exist"):
        finelens.save_thresholds(run / "none", 0.5)
    assert (run / "model/decision.json").read_bytes() == before
    assert not list((run / "model").glob("decision-*"))


def test_what_if_of_what_was_not_evaluated_is_told(run):
    with pytest.raises(DataError, match='did you mean "val"'):
        finelens.what_if(run, split="vla")
    with pytest.raises(RunError, match="train has not been evaluated"):
        finelens.what_if(run, split="train")
