import json

import polars as pl
import pytest

from finelens.reporting.cautions import find_cautions
from finelens.reporting.evidence import read_evidence
from finelens.reporting.group_results import group_results
from finelens.reporting.record import read_record
from finelens.task import TaskKind


def results_of(run):
    record = read_record(run)
    evidence = {
        split: read_evidence(run, split, record.task, record.decision) for split in record.metrics
    }
    return group_results(record, evidence)


def test_every_evaluated_split_is_shown_in_the_reports_order(make_run):
    parts = results_of(make_run(groups=["a", "b"] * 12))
    assert [part["split"] for part in parts] == ["test", "val"]


def test_runs_without_groups_show_none(make_run):
    assert results_of(make_run()) == []


def test_multi_label_groups_go_by_example_f1_beside_the_main_metric(make_run):
    run = make_run(groups=["a", "b", "c"] * 8)
    metrics = json.loads((run.evaluation("test") / "metrics.json").read_text())
    part = results_of(run)[0]
    assert part["figure"] == "example F1"
    assert [row["words"] for row in part["intervals"]] == ["mean AP", "example F1"]
    for row, name in zip(part["intervals"], ("mean_average_precision", "example_f1"), strict=True):
        assert list(row["ordinary"]) == metrics["intervals"][name]
        assert list(row["by_group"]) == metrics["groups"]["intervals"][name]
    values = [row["value"] for row in part["rows"]]
    assert values == sorted(values)


def test_how_far_groups_lie_apart_is_held_against_chance(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS, groups=["a", "b", "c", None] * 6)
    summary = json.loads((run.evaluation("test") / "metrics.json").read_text())["groups"]
    words = results_of(run)[0]["evenness"]
    assert f"deviation of {100 * summary['deviation']:.1f} points" in words
    assert f"about {100 * summary['deviation_by_chance']:.1f}" in words
    assert "Were all groups alike on every class, chance" in words
    assert ("no more than" in words) == (summary["p_value"] >= 0.05)
    assert words.endswith("6 pictures have no group.")


def test_groups_that_are_classes_are_said_not_to_be_told_from_them(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS, groups=["a", "b", "c"] * 8)
    assert json.loads((run.evaluation("test") / "metrics.json").read_text())["groups"][
        "p_value"
    ] is None  # fmt: skip
    words = results_of(run)[0]["evenness"]
    assert words.endswith("what the groups do and what the classes do cannot be told apart.")
    assert "chance" not in words


def test_one_group_says_nothing_of_another(make_run):
    part = results_of(make_run(kind=TaskKind.MULTI_CLASS, groups=["a"] * 24))[0]
    assert part["evenness"] == "All are of one group, of which nothing follows for another."
    assert part["few"] == ""
    assert part["intervals"][0]["by_group"] is None


@pytest.mark.parametrize(("seed", "size"), [(0, 2), (1, 3)])
def test_many_groups_are_cut_to_the_worst_and_the_rest_is_told(make_run, seed, size):
    run = make_run(groups=[f"g{n // size}" for n in range(96)], num_examples=96, seed=seed)
    part = results_of(run)[0]
    values = pl.read_parquet(run.evaluation("test") / "groups.parquet")["example_f1"].to_list()
    assert [row["value"] for row in part["rows"]] == sorted(values)[:12]
    reach = [f"{value:.1%}" for value in (sorted(values)[12], max(values))]
    assert part["cut"] == (
        f"The worst 12 of {96 // size} groups; example F1 of the other {96 // size - 12} is "
        f"{' to '.join(dict.fromkeys(reach))}. evaluation/test/groups.parquet has all."
    )


def test_few_groups_are_not_cut(make_run):
    assert results_of(make_run(groups=["a", "b"] * 12))[0]["cut"] == ""


def test_groups_of_many_classes_name_the_first_of_them(make_run):
    classes = tuple("abcdef")
    part = results_of(make_run(kind=TaskKind.MULTI_CLASS, classes=classes, groups=["g"] * 24))[0]
    assert part["rows"][0]["labels"] == "a, b, c and 3 more"


def test_a_caution_names_the_interval_that_groups_make_wider(make_run):
    run = make_run(kind=TaskKind.MULTI_CLASS, groups=["a", "b"] * 12)
    path = run.evaluation("test") / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["intervals"]["accuracy"] = [0.6, 0.8]
    for ends, is_told in (([0.5, 0.9], True), ([0.59, 0.81], False), ([None, None], False)):
        metrics["groups"]["intervals"]["accuracy"] = ends
        path.write_text(json.dumps(metrics))
        told = [one for one in find_cautions(read_record(run)) if "of one group are alike" in one]
        assert bool(told) == is_told
        assert all("accuracy is 50.0% to 90.0%" in one for one in told)
