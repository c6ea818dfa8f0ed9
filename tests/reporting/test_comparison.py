import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from finelens.errors import RunError
from finelens.evaluation.scores import read_scores
from finelens.reporting.comparison import compare_runs
from finelens.reporting.comparison_page import comparison_context
from finelens.reporting.convergence import find_convergence
from finelens.reporting.record import read_decision, read_record, read_task
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


def log(run, name, values, split="train"):
    with run.metrics_log.open("a") as file:
        for epoch, value in values.items():
            row = {"step": 5 * epoch, "epoch": epoch, "phase": "fine-tune", "split": split,
                   "name": name, "value": value}  # fmt: skip
            file.write(json.dumps(row) + "\n")


@pytest.mark.parametrize("others", [(), ("mean_average_precision", "loss")])
@pytest.mark.parametrize("metric", ["mean_average_precision", "example_f1"])
@pytest.mark.parametrize(("kept", "expected"), [(2, 0.8), (3, 0.7), (0, None), (None, 0.7)])
def test_logged_figures_on_train_are_those_of_the_kept_epoch(
    make_run, kept, expected, metric, others
):
    # the first of the followed metrics chose the weights, whatever the runs are judged by
    epochs = {metric: kept} | {name: 1 for name in others if name != metric}
    best = {name: {"value": 0.7, "epoch": epoch} for name, epoch in epochs.items()}
    best = best if kept is not None else {}
    run, other = make_run("a", summary={"best": best}), make_run("b")
    for one in (run, other):
        log(one, "example_f1", {1: 0.5, 2: 0.8, 3: 0.7})
    comparison = compare_runs([run, other], "val")
    assert comparison.table["train_example_f1"].to_list() == [expected, 0.7]
    assert any("while training, on augmented pictures" in note for note in comparison.notes)


@pytest.mark.parametrize(("augment", "is_said"), [("none", False), ([], False), ("light", True)])
def test_augmented_pictures_are_spoken_of_where_a_phase_augments(make_run, augment, is_said):
    recipe = {"phases": [{"epochs": 1, "augment": "none"}, {"epochs": 2, "augment": augment}]}
    runs = [make_run(name, recipe=recipe) for name in "ab"]
    for run in runs:
        log(run, "example_f1", {1: 0.5, 2: 0.8, 3: 0.7})
    told = [note for note in compare_runs(runs, "val").notes if "while training," in note]
    assert len(told) == 1
    assert ("on augmented pictures" in told[0]) == is_said


def test_figures_on_train_of_an_evaluation_go_before_the_log(make_run):
    run = make_run("a", splits=("val", "train"))
    log(run, "example_f1", {3: 0.123})
    comparison = compare_runs([run], "val")
    metrics = json.loads((run.evaluation("train") / "metrics.json").read_text())
    assert comparison.table["train_example_f1"].to_list() == [metrics["example"]["f1"]]
    assert not any("augmented" in note for note in comparison.notes)


def test_tests_by_whole_groups_are_told_beside_intervals_that_leave_them_out(make_run):
    said = "of one group (a recording) are alike"
    runs = [make_run("a"), make_run("b", seed=1)]
    assert not any(said in note for note in compare_runs(runs, "test").notes)
    grouped = [runs[0], make_run("c", seed=1, groups=["x", "y"] * 12)]
    comparison = compare_runs(grouped, "test")
    assert any(said in note and "take whole groups" in note for note in comparison.notes)
    assert comparison.pairs["test"].str.contains("by group").all()
    tests = comparison_context(comparison)["tests"]
    assert "whole groups" in str(tests)


def test_table_holds_time_per_picture_and_convergence(make_run):
    run = make_run("a")
    table = compare_runs([run], "val").table
    assert table["scoring_ms_per_picture"].to_list() == [pytest.approx(10)]
    found = find_convergence(read_record(run))
    assert table["epochs_to_convergence"].to_list() == [found.epoch]
    assert table["iterations_to_convergence"].to_list() == [found.iterations]


def test_area_below_the_pooled_roc_is_scikit_learns(make_run):
    run = make_run("a", kind=TaskKind.MULTI_CLASS)
    scores = read_scores(run.evaluation("test") / "scores.parquet", read_task(run))
    probabilities = read_decision(run).probabilities(scores.task, scores.logits_NK)
    expected = roc_auc_score(scores.targets_NK, probabilities, average="micro")
    found = compare_runs([run], "test").table["test_micro_roc_auc"].to_list()
    assert found == [pytest.approx(expected)]


def test_verdict_and_pairs_say_the_same(make_run):
    runs = [make_run("good", num_examples=90), make_run("other", num_examples=90, seed=1)]
    comparison = compare_runs(runs, "test")
    main = comparison.pairs.row(0, named=True)
    assert main["metric"] == comparison.metric
    assert main["figure"] == pytest.approx(comparison.table["test_mean_average_precision"][0])
    is_told_apart = main["p_value"] < 0.05
    assert ("is better than" in comparison.verdict) == is_told_apart
    assert comparison.verdict.count("example F1") == 1


def test_a_run_worse_on_most_pictures_is_surely_worse(make_run):
    good = make_run("good", kind=TaskKind.MULTI_CLASS, num_examples=60)
    scores = read_scores(good.evaluation("test") / "scores.parquet", read_task(good))
    turned = type(scores)(**{**vars(scores), "logits_NK": -scores.logits_NK})
    bad = make_run("bad", kind=TaskKind.MULTI_CLASS, scores={"test": turned},
                   summary={"training_minutes": 0.5})  # fmt: skip
    verdict = compare_runs([bad, good], "test").verdict
    assert verdict.startswith("good is better than bad by ")
    assert verdict.endswith("p < 0.001; bad trained 3.0x faster.")


def test_one_run_alone_has_no_pairs_and_no_verdict(make_run):
    comparison = compare_runs([make_run("a")], "val")
    assert comparison.verdict == ""
    assert comparison.pairs.is_empty()


def test_other_devices_and_precision_are_warned_of_for_their_times(make_run):
    first, second, old = make_run("first"), make_run("second"), make_run("old")
    for run, facts in ((first, {"device": "cpu", "precision": "fp32"}),
                       (second, {"device": "NVIDIA X", "precision": "bf16"})):  # fmt: skip
        run.environment.write_text(json.dumps({"manifest_sha256": "ab", **facts}))
    told = compare_runs([first, second, old], "val").warnings
    assert told == (
        "second and first were trained on different devices (NVIDIA X and cpu) and in different "
        "precision (bf16 and fp32): their times do not compare.",
    )


def test_more_runs_than_hues_draw_the_first_and_the_best(make_run):
    runs = [make_run(f"run-{n}", seed=n) for n in range(8)]
    comparison = compare_runs(runs, "test")
    drawn = [entry.label for entry in comparison.roc.legend if entry.label.startswith("run-")]
    figures = comparison.table["test_mean_average_precision"]
    assert len(drawn) == 6
    assert f"run-{figures.arg_max()}" in drawn
    assert comparison.roc.note == "6 of 8 runs, the best among them."


def test_headline_has_precision_recall_and_f1_on_train_beside_the_compared_split(make_run):
    runs = [make_run(name, splits=("val", "train")) for name in "ab"]
    columns = compare_runs(runs, "val").headline.columns
    for split in ("val", "train"):
        assert [name for name in columns if name.startswith(f"{split}_example")] == [
            f"{split}_example_{name}" for name in ("precision", "recall", "f1")
        ]
    kinds = [make_run(name, kind=TaskKind.MULTI_CLASS, splits=("test", "train")) for name in "cd"]
    columns = compare_runs(kinds, "test").headline.columns
    assert {"test_accuracy", "train_accuracy", "train_macro_f1"} <= set(columns)


def test_headline_of_clips_speaks_of_clips(make_run):
    for frames, column in ((None, "scoring_ms_per_picture"), (4, "scoring_ms_per_clip")):
        run = make_run(f"of-{frames}", frames=frames)
        comparison = compare_runs([run], "test")
        assert [name for name in comparison.headline.columns if "_per_" in name] == [column]
        assert "scoring_ms_per_picture" in comparison.table.columns


def test_verdict_names_the_epochs_where_runs_trained_for_different_numbers(make_run):
    runs = [make_run("long", summary={"training_minutes": 9.0}), make_run("short")]
    log(runs[0], "loss", {4: 0.2, 5: 0.1})
    verdict = compare_runs(runs, "val").verdict
    assert verdict.endswith("short trained 6.0x faster, in 3 epochs against 5.")


def renamed(run, rename, *, split="test", move=lambda path: path):
    """Return the scores of a run with other names, and other paths."""
    scores = read_scores(run.evaluation(split) / "scores.parquet", read_task(run))
    return replace(scores, ids=tuple(map(rename, scores.ids)), paths=tuple(map(move, scores.paths)))


def test_the_same_files_under_other_names_are_matched_by_their_paths(make_run):
    first = make_run("first")
    other = make_run("other", scores={"test": renamed(first, lambda name: f"/data/{name}")})
    other.environment.write_text(json.dumps({"manifest_sha256": "cd"}))
    comparison = compare_runs([first, other], "test")
    assert comparison.pairs["num_pictures"].unique().to_list() == [24]
    assert "cannot be tested" not in comparison.verdict
    (told,) = comparison.warnings
    assert told.startswith("other and first call the same test pictures by different names ")
    assert '("/data/test-000.jpg" and "test-000.jpg"), which were matched by where' in told


def test_names_that_differ_in_folders_alone_are_said_to(make_run):
    first = make_run("first")
    moved = renamed(first, lambda name: f"/data/{name}", move=lambda path: f"/elsewhere{path}")
    comparison = compare_runs([first, make_run("other", scores={"test": moved})], "test")
    assert "they share no picture and label" in comparison.verdict
    assert (
        "in both): differences may come from the pictures; 24 names differ in their folders alone "
        '("/data/test-000.jpg" and "test-000.jpg"): where these are the same files, evaluate both '
        "runs with one --data."
    ) in comparison.warnings[0]
