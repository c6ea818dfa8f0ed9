import json
import re

import numpy as np
import polars as pl
import pytest

from finelens.errors import RunError
from finelens.evaluation.scores import read_scores
from finelens.reporting.comparison import compare_runs, write_comparison
from finelens.reporting.record import read_task
from finelens.task import TaskKind


def test_table_holds_the_runs_own_figures(make_run):
    runs = [make_run("a"), make_run("b", seed=1)]
    comparison = compare_runs(runs, "test")
    assert comparison.table["run"].to_list() == ["a", "b"]
    for run, row in zip(runs, comparison.table.iter_rows(named=True), strict=True):
        for split in ("val", "test"):
            metrics = json.loads((run.evaluation(split) / "metrics.json").read_text())
            assert row[f"{split}_example_f1"] == metrics["example"]["f1"]
        ends = [row[f"test_mean_average_precision_{end}"] for end in ("low", "high")]
        assert ends == metrics["intervals"]["mean_average_precision"]
        assert row["parameters"] == 1_234_567
        assert row["training_minutes"] == 1.5
        assert row["scoring_pictures_per_second"] == pytest.approx(100)
    assert comparison.warnings == ()
    assert comparison.metric == "mean_average_precision"


def test_figures_on_train_come_from_the_log_where_train_was_not_evaluated(make_run):
    run = make_run("a", kind=TaskKind.MULTI_CLASS)
    with run.metrics_log.open("a") as file:
        row = {"step": 15, "epoch": 3, "phase": "fine-tune", "split": "train",
               "name": "accuracy", "value": 0.987}  # fmt: skip
        file.write(json.dumps(row) + "\n")
    assert compare_runs([run], "val").table["train_accuracy"].to_list() == [0.987]


def test_other_pictures_are_warned_of_by_their_ids(make_run):
    few = make_run("few", num_examples=20)
    told = compare_runs([make_run("all"), few], "test").warnings
    assert len(told) == 1
    assert (
        "few and all were evaluated on different test pictures (20 and 24, 20 in both)" in told[0]
    )


def test_other_labels_of_the_same_pictures_are_warned_of(make_run):
    first = make_run("first")
    task = read_task(first)
    scores = read_scores(first.evaluation("test") / "scores.parquet", task)
    changed_NK = scores.targets_NK.copy()
    changed_NK[5] = 1 - changed_NK[5]
    changed = type(scores)(**{**vars(scores), "targets_NK": changed_NK})
    told = compare_runs([first, make_run("other", scores={"test": changed})], "test").warnings
    assert told == ("other and first were judged by different labels on 1 of 24 test pictures.",)


def test_classes_left_out_in_both_runs_are_no_difference(make_run):
    runs = [make_run("a"), make_run("b")]
    assert np.isnan(read_scores(runs[0].evaluation("val") / "scores.parquet",
                                read_task(runs[0])).targets_NK).any()  # fmt: skip
    assert compare_runs(runs, "val").warnings == ()


def test_other_classes_tasks_and_manifests_are_warned_of(make_run):
    first = make_run("first")
    other_classes = make_run("second", classes=("x", "car & cat", "dog"))
    other_task = make_run("third", kind=TaskKind.MULTI_CLASS)
    other_data = make_run("fourth")
    other_data.environment.write_text(json.dumps({"manifest_sha256": "cd"}))
    told = compare_runs([first, other_classes, other_task, other_data], "val").warnings
    assert "different classes (2 not in both" in told[0]
    assert "different tasks" in told[1]
    assert "their data differ elsewhere" in told[2]


def test_best_of_a_column_is_bold_except_on_train(make_run, tmp_path):
    runs = [make_run("a"), make_run("b", seed=3, summary={"training_minutes": 9.0})]
    comparison = compare_runs(runs, "test")
    html = write_comparison(tmp_path / "out", comparison).read_text()
    best = max(comparison.table["test_mean_average_precision"])
    assert re.search(rf'<td data-value="{best}" class="best">{best:.1%}', html)
    assert '<td data-value="1.5" class="best">1.5' in html  # less time is better
    assert '<td data-value="9.0">9.0' in html


def test_csv_holds_the_whole_table(make_run, tmp_path):
    comparison = compare_runs([make_run("a"), make_run("b", seed=1)], "test")
    write_comparison(tmp_path / "out", comparison)
    table = pl.read_csv(tmp_path / "out" / "comparison.csv")
    assert table.columns == comparison.table.columns
    assert table["test_macro_f1"].to_list() == comparison.table["test_macro_f1"].to_list()
    assert set(comparison.headline.columns) < set(table.columns)


def test_page_shows_warnings_and_escapes_names(make_run, tmp_path):
    runs = [make_run("<u>a"), make_run("b", num_examples=20)]
    html = write_comparison(tmp_path / "out", compare_runs(runs, "test")).read_text()
    assert "not strictly comparable" in html
    assert "<u>" not in html
    assert "&lt;u&gt;a" in html


def test_run_not_evaluated_on_the_split_is_named(make_run):
    with pytest.raises(RunError, match=r'val-only: split "test" has not been evaluated'):
        compare_runs([make_run("a"), make_run("val-only", splits=("val",))], "test")


def test_run_given_twice_and_no_runs_are_refused(make_run):
    run = make_run("a")
    with pytest.raises(RunError, match="given twice"):
        compare_runs([run, run], "val")
    with pytest.raises(RunError, match="no runs"):
        compare_runs([], "val")


def test_runs_of_one_name_are_told_apart_by_their_paths(make_run, tmp_path):
    (tmp_path / "x").mkdir()
    runs = [make_run("a"), make_run("x/a")]
    assert compare_runs(runs, "val").table["run"].to_list() == [str(run.root) for run in runs]
