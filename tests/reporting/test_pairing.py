from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from finelens.reporting.evidence import read_evidence
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.reporting.pairing import PAIR_SCHEMA, common_rows, judge, pairs_table
from finelens.reporting.record import read_decision, read_task
from finelens.task import TaskKind


def judged(run, split="test"):
    task = read_task(run)
    return judge(run.root.name, read_evidence(run, split, task, read_decision(run)))


def row_of(table, metric):
    return table.filter(pl.col("metric") == metric).row(0, named=True)


def test_pairs_hold_the_figures_of_each_run_by_its_own_decision(make_run):
    runs = [judged(make_run(name, kind=TaskKind.MULTI_CLASS, seed=seed, num_examples=60))
            for name, seed in (("a", 0), ("b", 1))]  # fmt: skip
    table = pairs_table(runs, "a")
    truth = runs[0].targets_NK.argmax(axis=1)
    said = [run.decisions_NK.argmax(axis=1) for run in runs]
    row = row_of(table, "accuracy")
    assert table["metric"].to_list() == list(METRIC_SETS["accuracy"].tested)
    assert row["figure"] == pytest.approx(accuracy_score(truth, said[0]))
    assert row["other_figure"] == pytest.approx(accuracy_score(truth, said[1]))
    only = [int(((a == truth) & (b != truth)).sum()) for a, b in (said, said[::-1])]
    assert [row["only_run_right"], row["only_other_right"]] == only
    assert row["p_value"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    macro = [f1_score(truth, one, average="macro") for one in said]
    assert row_of(table, "macro.f1")["difference"] == pytest.approx(macro[0] - macro[1], abs=1e-6)
    areas = [
        average_precision_score(runs[0].targets_NK, run.probabilities_NK, average="macro")
        for run in runs
    ]
    found = row_of(table, "mean_average_precision")
    assert found["difference"] == pytest.approx(areas[0] - areas[1], abs=1e-6)
    assert found["low"] < found["difference"] < found["high"]


def test_pictures_are_paired_by_name_and_not_by_place(make_run):
    run = judged(make_run("a"))
    turned = type(run)(
        "turned", run.task, run.ids[::-1], run.probabilities_NK[::-1], run.decisions_NK[::-1],
        run.targets_NK[::-1],
    )  # fmt: skip
    table = pairs_table([run, turned], "a")
    assert table["p_value"].to_list() == [1.0] * len(METRIC_SETS["mean_average_precision"].tested)
    assert table["difference"].abs().max() == 0


def test_only_pictures_of_both_with_equal_labels_are_compared(make_run):
    run = judged(make_run("a"))
    targets_NK = run.targets_NK.copy()
    targets_NK[7] = 1 - targets_NK[7]
    other = type(run)("b", run.task, run.ids[4:], run.probabilities_NK[4:],
                      run.decisions_NK[4:], targets_NK[4:])  # fmt: skip
    rows, other_rows = common_rows(run, other)
    kept = [n for n in range(4, len(run.ids)) if n != 7]
    assert rows.tolist() == kept
    assert other_rows.tolist() == [n - 4 for n in kept]
    assert pairs_table([run, other], "a")["num_pictures"].unique().to_list() == [len(kept)]


def test_classes_left_out_in_both_are_equal_labels(make_run):
    runs = [judged(make_run("a")), judged(make_run("b", seed=1))]
    assert np.isnan(runs[0].targets_NK).any()
    assert len(common_rows(*runs)[0]) == len(runs[0].ids)


def test_other_classes_or_tasks_are_not_compared(make_run):
    first = judged(make_run("a"))
    renamed = judged(make_run("b", classes=("x", "y", "z")))
    assert [len(rows) for rows in common_rows(first, renamed)] == [0, 0]
    kind = judged(make_run("c", kind=TaskKind.MULTI_CLASS))
    table = pairs_table([first, renamed, kind], "a")
    assert table.is_empty()
    assert table.schema == pl.Schema(PAIR_SCHEMA)


def test_three_runs_make_three_pairs_whose_p_values_are_corrected(make_run):
    runs = [judged(make_run(name, seed=seed)) for seed, name in enumerate("abc")]
    table = pairs_table(runs, "a").filter(pl.col("metric") == "example.f1")
    assert table.select("run", "other").rows() == [("a", "b"), ("a", "c"), ("b", "c")]
    smallest = table["p_value"].arg_min()
    assert table["holm_p_value"][smallest] == pytest.approx(min(3 * table["p_value"].min(), 1))
    assert (table["holm_p_value"] >= table["p_value"]).all()


def test_more_than_ten_runs_are_each_held_against_the_best(make_run):
    run = judged(make_run("a"))
    runs = [type(run)(f"run-{n}", *list(vars(run).values())[1:]) for n in range(12)]
    table = pairs_table(runs, "run-5").filter(pl.col("metric") == "accuracy")
    assert table.height == 11
    assert all("run-5" in pair for pair in table.select("run", "other").iter_rows())


def test_whole_groups_are_drawn_and_flipped_where_pictures_share_them(make_run):
    groups = ["x", "y", "z", "u", "v", "w", "t", "s"] * 6
    runs = [judged(make_run(name, kind=TaskKind.MULTI_CLASS, seed=seed, num_examples=48,
                            groups=groups)) for name, seed in (("a", 0), ("b", 3))]  # fmt: skip
    table = pairs_table(runs, "a")
    row = row_of(table, "accuracy")
    assert row["test"] == "McNemar by group (sign flips)"
    assert row_of(table, "macro.f1")["test"] == "paired bootstrap by group"
    right = [run.decisions_NK.argmax(1) == run.targets_NK.argmax(1) for run in runs]
    apart = (right[0].astype(int) - right[1]).reshape(6, 8).sum(axis=0)
    signs = np.array(list(product((-1, 1), repeat=8)))
    expected = (np.abs(signs @ apart) >= abs(apart.sum())).mean()
    assert row["p_value"] == pytest.approx(expected)
    assert row["only_run_right"] == (right[0] & ~right[1]).sum()
    alone = [replace(run, groups=tuple(f"g{n}" for n in range(48))) for run in runs]
    plain = [replace(run, groups=None) for run in runs]
    assert pairs_table(alone, "a").equals(pairs_table(plain, "a"))
    # a run scored before pictures had groups is told them by the other
    assert pairs_table([runs[0], plain[1]], "a").equals(table)
    assert pairs_table([plain[0], runs[1]], "a").equals(table)


def test_copies_of_pictures_in_a_group_make_no_difference_surer(make_run):
    runs = [judged(make_run(name, kind=TaskKind.MULTI_CLASS, seed=seed, num_examples=30))
            for name, seed in (("a", 0), ("b", 3))]  # fmt: skip
    copied = [
        replace(
            run, ids=tuple(f"{name}-{n}" for n in range(5) for name in run.ids),
            groups=run.ids * 5, probabilities_NK=np.tile(run.probabilities_NK, (5, 1)),
            decisions_NK=np.tile(run.decisions_NK, (5, 1)),
            targets_NK=np.tile(run.targets_NK, (5, 1)),
        )
        for run in runs
    ]  # fmt: skip
    for metric in ("accuracy", "macro.f1"):
        once, five = (row_of(pairs_table(of, "a"), metric) for of in (runs, copied))
        assert five["p_value"] == pytest.approx(once["p_value"], abs=1e-6)
        assert five["difference"] == pytest.approx(once["difference"])


def test_two_groups_never_tell_runs_apart(make_run):
    run = judged(make_run("a", kind=TaskKind.MULTI_CLASS, groups=["x", "y"] * 12))
    worse = replace(run, name="b", decisions_NK=~run.targets_NK.astype(bool))
    table = pairs_table([run, worse], "a")
    assert row_of(table, "accuracy")["difference"] > 0.5
    assert table["p_value"].min() >= 0.5
