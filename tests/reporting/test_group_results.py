import json

from finelens.reporting import group_results as results
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


def test_many_groups_are_cut_to_the_worst(make_run, monkeypatch):
    monkeypatch.setattr(results, "MOST_GROUPS", 3)
    part = results_of(make_run(groups=[f"g{n // 2}" for n in range(24)]))[0]
    assert len(part["rows"]) == 3
    assert part["cut"] == "The worst 3 of 12; groups.parquet has all."


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
