import json

import polars as pl

from finelens.reporting.cautions import find_cautions
from finelens.reporting.record import read_record
from finelens.reporting.report import write_report
from finelens.task import TaskKind


def cautions_of(run, **settings):
    return "\n".join(find_cautions(read_record(run, **settings)))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_figures_of_validation_alone_are_said_to_be_too_good(make_run):
    run = make_run()
    assert "There are no test figures" in cautions_of(run, splits=["val"])
    assert "There are no test figures" not in cautions_of(run)


def test_fine_tuning_that_does_not_beat_the_probe_is_said(make_run):
    metric = "mean_average_precision"
    worse = make_run("a", summary={"best": {metric: {"value": 0.69, "epoch": 1}}})
    assert "did not beat the probe on validation (69.0% against 70.0%)" in cautions_of(worse)
    assert "did not beat" not in cautions_of(make_run("b"))


def test_gap_between_validation_and_test_is_told_only_beyond_both_intervals(make_run):
    run = make_run()
    for split, value in (("val", 0.9), ("test", 0.7)):
        change(
            run.evaluation(split) / "metrics.json",
            mean_average_precision=value,
            intervals={"mean_average_precision": [value - 0.05, value + 0.05]},
        )
    assert "20.0 points below validation" in cautions_of(run)
    change(
        run.evaluation("test") / "metrics.json",
        intervals={"mean_average_precision": [0.5, 0.88]},
    )
    assert "below validation" not in cautions_of(run)


def log(run, values, split):
    with run.metrics_log.open("a") as file:
        for epoch, value in values.items():
            row = {"step": 5 * epoch, "epoch": epoch, "phase": "fine-tune", "split": split,
                   "name": "example_f1", "value": value}  # fmt: skip
            file.write(json.dumps(row) + "\n")


def test_gap_to_training_of_multi_label_runs_is_that_of_example_f1_in_the_kept_epoch(make_run):
    best = {"example_f1": {"value": 0.5, "epoch": 2}, "loss": {"value": 0.4, "epoch": 3}}
    run = make_run(summary={"best": best})
    log(run, {1: 0.4, 2: 0.9, 3: 0.5}, "train")
    log(run, {1: 0.4, 2: 0.6, 3: 0.5}, "val")
    assert (
        "Training example F1 is 30.0 points above validation (90.0% against 60.0%)"
        in cautions_of(run)
    )
    change(run.summary, best={"example_f1": {"value": 0.5, "epoch": 3}})
    assert "points above validation" not in cautions_of(run)


def test_few_recordings_are_told_of_each_split(make_run):
    assert "may change with other" not in cautions_of(make_run("without", frames=8))
    recordings = [f"tape {n % 3}" for n in range(24)]
    told = cautions_of(make_run("a", frames=8, groups=recordings))
    assert "val has 3 recordings, test 3: the figures may change with other recordings." in told
    # one that has no group is one of its own
    many = [f"patient {n}" if n % 3 else None for n in range(8) for _ in range(3)]
    assert "may change with other" not in cautions_of(make_run("b", groups=many))
    of_pictures = cautions_of(make_run("c", groups=["a"] * 24), splits=["test"])
    assert "test has 1 group: the figures may change with other groups." in of_pictures


def test_few_pictures_and_few_positives_are_told(make_run):
    told = cautions_of(make_run())
    assert "Only 24 test pictures" in told
    assert "dog (8)" in told


def test_last_epoch_being_the_best_is_told(make_run):
    assert "best after the last epoch (3)" in cautions_of(make_run())


def test_unreadable_files_are_counted(make_run):
    told = cautions_of(make_run(summary={"num_bad_files": 2, "bad_files": {"a": "x", "b": "y"}}))
    assert "2 unreadable files left out" in told


def test_clips_that_are_cut_off_are_counted_and_listed(make_run):
    run = make_run(frames=8)
    assert "took part with the frames" not in cautions_of(run)
    change(run.environment, notes={"walk/b.avi": "cut off in the middle: 9 frames"})
    told = cautions_of(run)
    assert "1 cut-off, damaged or incomplete clip took part with the frames that could" in told
    write_report(run)
    page = run.report.read_text()
    assert "Files that are not whole" in page
    assert ">walk/b.avi</td>" in page
    assert ">cut off in the middle: 9 frames</td>" in page


def test_clips_that_were_divided_without_groups_are_told(make_run):
    run = make_run(frames=8)
    assert "have no group" not in cautions_of(run)
    change(run.environment, group_note="9 of 9 clips have no group: clips of one recording may")
    assert "9 of 9 clips have no group: clips of one recording may." in cautions_of(run)


def test_uneven_classes_are_told_where_accuracy_hides_the_rare_and_nothing_weighs_them(make_run):
    labels = [["dog"]] * 10 + [["car & cat"]] * 2 + [["<u>ball</u>"]] * 7
    table = pl.DataFrame({"split": ["train"] * 19, "labels": labels})

    def cautions(name, *, rows=table, **settings):
        run = make_run(name, **settings)
        rows.write_parquet(run.manifest)
        return run, cautions_of(run)

    run, told = cautions("uneven", kind=TaskKind.MULTI_CLASS)
    macro = json.loads((run.evaluation("test") / "metrics.json").read_text())["macro"]["f1"]
    assert "dog has 5.0 x the training pictures of car & cat" in told
    assert f"macro F1 ({macro:.1%})" in told
    assert "accuracy hides" not in cautions("multi-label")[1]
    weighed = {"loss": {"class_weights": "balanced"}}
    assert "accuracy hides" not in cautions("w", kind=TaskKind.MULTI_CLASS, recipe=weighed)[1]
    even = cautions("even", kind=TaskKind.MULTI_CLASS, rows=table.tail(18))[1]
    assert "accuracy hides" not in even
