import csv
import json
import re
import shutil

import polars as pl
import pytest

import finelens


@pytest.fixture
def pictures(table_data):
    return sorted(table_data.parent.glob("*.png"))[:3]


def test_predict_prints_a_line_a_picture(finelens_command, trained, pictures):
    code, output, _ = finelens_command("predict", trained, *pictures)
    assert code == 0
    assert all(str(picture) in output for picture in pictures)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_predict_writes_one_row_for_every_input_errors_included(
    finelens_command, trained, pictures, tmp_path, suffix
):
    (tmp_path / "broken.jpg").write_text("no picture")
    inputs = [pictures[0], tmp_path / "broken.jpg", tmp_path / "none.png", pictures[1]]
    out = tmp_path / f"scores{suffix}"
    code, output, _ = finelens_command("predict", trained, *inputs, "--out", out)
    assert code == 0
    assert f"4 rows, 2 of them unreadable, written to {out}" in output
    if suffix == ".csv":
        rows = list(csv.DictReader(out.open()))
        assert float(rows[0]["probability.red"]) >= 0
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert set(rows[0]["probabilities"]) == {"blue", "green", "red"}
    else:
        rows = pl.read_parquet(out).to_dicts()
    assert [row["path"] for row in rows] == [str(path) for path in inputs]
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]


def test_a_failure_is_one_line_with_its_path_once_and_counted(
    finelens_command, trained, pictures, tmp_path
):
    missing = tmp_path / "none.png"
    code, output, errors = finelens_command("predict", trained, pictures[0], missing)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[1].startswith(f"{missing}: error: ")
    assert lines[1].count(str(missing)) == 1
    assert lines[2] == "1 of 2 inputs could not be read"


def test_predict_fails_where_nothing_could_be_read(finelens_command, trained, tmp_path):
    inputs = [tmp_path / "none.png", tmp_path / "neither.png"]
    code, output, errors = finelens_command("predict", trained, *inputs)
    assert (code, errors) == (1, "error: none of the 2 inputs could be read\n")
    assert [line.partition(": ")[0] for line in output.splitlines()] == list(map(str, inputs))
    out = tmp_path / "a.csv"
    code, output, errors = finelens_command("predict", trained, inputs[0], "--out", out)
    assert (code, errors) == (1, "error: the input could not be read\n")
    assert f"1 row, 1 of them unreadable, written to {out}" in output
    assert pl.read_csv(out)["path"].to_list() == [str(inputs[0])]


def test_predict_refuses_an_unknown_kind_of_table_before_it_works(
    finelens_command, trained, pictures, tmp_path
):
    code, _, errors = finelens_command("predict", trained, *pictures, "--out", tmp_path / "a.xls")
    assert code == 1
    assert ".csv" in errors


def test_evaluate_scores_a_split_and_updates_the_report(finelens_command, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    code, output, _ = finelens_command("evaluate", run, "--split", "train")
    assert code == 0
    assert "train (24 pictures): mean AP" in output
    assert re.search(r"example F1 \d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", output)
    assert (run / "evaluation" / "train" / "metrics.json").is_file()
    assert "train" in (run / "report.html").read_text()


def test_evaluating_again_gives_the_same_figures(finelens_command, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    assert finelens_command("evaluate", run, "--split", "test")[0] == 0
    metrics = "evaluation/test/metrics.json"
    assert (run / metrics).read_text() == (trained / metrics).read_text()


def test_other_pictures_are_evaluated_beside_the_runs_own(
    finelens_command, trained, folder_data, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    own = (run / "evaluation" / "test" / "metrics.json").read_bytes()
    code, output, _ = finelens_command("evaluate", run, "--data", folder_data)
    assert code == 0
    assert "other-pictures (60 pictures): mean AP" in output
    assert f"written to {run / 'evaluation' / 'other-pictures'}" in output
    assert "warning" not in output
    assert (run / "evaluation" / "test" / "metrics.json").read_bytes() == own
    report = (run / "report.html").read_text()
    assert f"60 pictures of {folder_data}." in report
    assert "the figures flatter" not in report
    # whatever reads evaluations knows it by its name
    top = tmp_path / "top.csv"
    asked = ("--split", "other-pictures", "-n", 3)
    assert finelens_command("top", run, *asked, "--class", "red", "--out", top)[0] == 0
    assert pl.read_csv(top)["id"].str.contains("/").all()
    other = shutil.copytree(run, tmp_path / "same")
    out = tmp_path / "comparison"
    code, _, _ = finelens_command("compare", run, other, *asked[:2], "--out", out)
    assert code == 0
    assert pl.read_csv(out / "pairs.csv")["num_pictures"].unique().to_list() == [60]


def test_pictures_that_the_run_was_trained_on_are_warned_of(
    finelens_command, trained, table_data, tmp_path
):
    run, copy = tmp_path / "run", tmp_path / "my copy"
    shutil.copytree(trained, run)
    copy.mkdir()
    # 24 are of train, 12 of val and 12 of test; one of train is changed
    for picture in table_data.parent.glob("*.png"):
        shutil.copy(picture, copy / f"renamed-{picture.name}")
    changed = copy / "renamed-00.png"
    changed.write_bytes(changed.read_bytes() + b"more")
    rows = table_data.read_text().splitlines()[1:]
    lines = ["path,labels", *(f"renamed-{row.rpartition(',')[0]}" for row in rows)]
    (copy / "labels.csv").write_text("\n".join(lines))
    code, output, _ = finelens_command(
        "evaluate", run, "--data", copy / "labels.csv", "--name", "mine"
    )
    assert code == 0
    said = (
        "23 of these 48 pictures are in the run's train split, and 12 are in its val split, on "
        "which it was chosen: the figures flatter"
    )
    assert f"warning: {said}\n" in output
    assert f"mine: {said.replace(chr(39), '&#39;')}." in (run / "report.html").read_text()
    metrics = json.loads((run / "evaluation" / "mine" / "metrics.json").read_text())
    assert metrics["other_data"] == {
        "path": str(copy / "labels.csv"), "split": None, "num_examples": 48, "num_train": 23,
        "num_val": 12, "num_gone": 0,
    }  # fmt: skip
    # it stays known when thresholds change
    finelens.save_thresholds(run, {"red": 0.9})
    refreshed = json.loads((run / "evaluation" / "mine" / "metrics.json").read_text())
    assert refreshed["other_data"] == metrics["other_data"]
    assert refreshed["decision"] != metrics["decision"]
    notes = finelens.compare([run, trained], split="val").notes
    assert not any("flatter" in note for note in notes)
    other = shutil.copytree(run, tmp_path / "other")
    notes = finelens.compare([run, other], split="mine").notes
    assert [note for note in notes if "flatter" in note] == [
        f"{name}, mine: {said}." for name in ("run", "other")
    ]


def test_the_name_of_other_data_replaces_nothing_else(
    finelens_command, trained, table_data, folder_data, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    for name in ("test", "../up", "", ".hidden"):
        arguments = ("--data", folder_data, "--name", name)
        code, _, errors = finelens_command("evaluate", run, *arguments)
        assert (code, f'--name "{name}" cannot be' in errors) == (1, True)
    assert "is for other data" in finelens_command("evaluate", run, "--name", "a")[2]
    asked = ("evaluate", run, "--data", table_data, "--split", "test")
    code, output, _ = finelens_command(*asked)
    assert (code, "other-labels-test (12 pictures)" in output) == (0, True)
    assert finelens_command(*asked)[0] == 0
    code, _, errors = finelens_command(
        "evaluate", run, "--data", folder_data, "--name", "other-labels-test"
    )
    assert code == 1
    assert f"is the evaluation of {table_data}; give this one a --name of its own" in errors


def test_evaluate_refuses_classes_the_model_does_not_know(
    finelens_command, trained, folder_data, tmp_path
):
    shutil.copytree(folder_data / "red", tmp_path / "data" / "mauve")
    shutil.copytree(folder_data / "red", tmp_path / "data" / "red")
    code, _, errors = finelens_command("evaluate", trained, "--data", tmp_path / "data")
    assert code == 1
    assert "mauve" in errors


def test_an_unknown_split_gets_the_nearest(finelens_command, trained):
    code, _, errors = finelens_command("evaluate", trained, "--split", "tets")
    assert code == 1
    assert 'did you mean "test"' in errors


def test_top_lists_the_best_ranked_pictures_of_a_class(finelens_command, trained, tmp_path):
    out = tmp_path / "top.csv"
    code, _, _ = finelens_command("top", trained, "--class", "red", "-n", 5, "--out", out)
    assert code == 0
    table = pl.read_csv(out)
    assert table["class"].unique().to_list() == ["red"]
    assert table["rank"].to_list() == [1, 2, 3, 4, 5]
    assert table["probability"].is_sorted(descending=True)
    assert finelens_command("top", trained, "--class", "red")[0] == 0


def test_top_of_an_unknown_class(finelens_command, trained):
    code, _, errors = finelens_command("top", trained, "--class", "rde")
    assert code == 1
    assert '"red"' in errors


def test_compare_writes_one_table_of_runs(finelens_command, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "other")
    out = tmp_path / "comparison"
    code, output, _ = finelens_command("compare", trained, tmp_path / "other", "--out", out)
    assert code == 0
    assert str(out) in output
    table = pl.read_csv(out / "comparison.csv")
    assert table["run"].to_list() == ["trained", "other"]
    assert {"parameters", "training_minutes", "training_pictures_per_second"} <= set(table.columns)
    assert {"train_loss", "val_mean_average_precision"} & set(table.columns)
    assert (out / "comparison.html").is_file()
    assert pl.read_csv(out / "pairs.csv")["num_pictures"].unique().to_list() == [12]
    verdict = next(line for line in output.splitlines() if line.startswith("verdict: "))
    assert "trained and other do not differ significantly in mean AP (p = 1)" in verdict


def test_compare_prints_the_notes_of_its_page(finelens_command, trained, tmp_path):
    runs = [trained, shutil.copytree(trained, tmp_path / "other")]
    _, output, _ = finelens_command("compare", *runs, "--split", "val", "--out", tmp_path / "out")
    notes = finelens.compare(runs, split="val").notes
    assert "chosen on the validation pictures" in notes[0]
    assert [line for line in output.splitlines() if line.startswith("note: ")] == [
        f"note: {note}" for note in notes
    ]


def test_compare_needs_two_runs(finelens_command, trained):
    assert finelens_command("compare", trained)[0] == 1


def spoil_weights(run):
    (run / "model" / "weights.safetensors").write_bytes(b"garbage")


def spoil_classes(run):
    (run / "model" / "classes.json").write_text("{")


def spoil_decision(run):
    (run / "model" / "decision.json").unlink()


def remove_model(run):
    shutil.rmtree(run / "model")


@pytest.mark.parametrize("spoil", [spoil_weights, spoil_classes, spoil_decision, remove_model])
def test_a_spoiled_model_is_one_clear_error(finelens_command, trained, pictures, tmp_path, spoil):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    spoil(run)
    code, _, errors = finelens_command("predict", run, *pictures)
    assert code == 1
    assert errors.startswith("error: ")
    assert errors.count("\n") <= 2


def test_predict_refuses_a_name_that_is_no_unicode(finelens_command, trained, tmp_path):
    code, _, errors = finelens_command("predict", trained, tmp_path / "a\udcff.jpg")
    assert code == 1
    assert "not valid UTF-8" in errors


def test_predict_refuses_a_folder_as_its_table_before_it_works(finelens_command, trained, tmp_path):
    (tmp_path / "out.csv").mkdir()
    code, _, errors = finelens_command("predict", trained, "a.jpg", "--out", tmp_path / "out.csv")
    assert code == 1
    assert "no file can be written there" in errors


def test_top_takes_test_where_it_was_evaluated(finelens_command, trained, tmp_path):
    out = tmp_path / "top.csv"
    assert finelens_command("top", trained, "--out", out)[0] == 0
    test = pl.read_parquet(trained / "evaluation" / "test" / "scores.parquet")
    assert set(pl.read_csv(out)["id"]) <= set(test["id"])


def test_a_damaged_recipe_is_one_clear_error(finelens_command, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "recipe.yaml").write_text("seed: [")
    code, _, errors = finelens_command("evaluate", run)
    assert code == 1
    assert "recipe.yaml" in errors


def test_compare_refuses_a_file_as_its_folder(finelens_command, trained, tmp_path):
    (tmp_path / "out").write_text("precious")
    code, _, errors = finelens_command("compare", trained, trained, "--out", tmp_path / "out")
    assert code == 1
    assert "is a file; name a new folder" in errors


def test_compare_writes_into_no_folder_of_other_things(
    finelens_command, trained, folder_data, tmp_path
):
    other = shutil.copytree(trained, tmp_path / "other")
    before = sorted(folder_data.iterdir())
    code, _, errors = finelens_command("compare", trained, other, "--out", folder_data)
    assert code == 1
    assert "holds other things than a comparison, such as blue; name a new folder" in errors
    assert sorted(folder_data.iterdir()) == before
    out = tmp_path / "out"
    out.mkdir()
    (out / ".hidden").touch()
    # a second time it replaces its own
    assert [finelens_command("compare", trained, other, "--out", out)[0] for _ in "ab"] == [0, 0]
