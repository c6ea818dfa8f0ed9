import json
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

import finelens

FOREIGN = """\
Epoch 1/2
train Loss: 0.5123 Acc: 80.11%
val Loss: 0.6 Acc: 70%
Epoch 2/2
train Loss: 0.4 Acc: 90%
val Loss: 0.5 Acc: 80%
"""


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the trained run that may be written into."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return the working directory, a new one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def logged(run, split, name):
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row["value"] for row in rows
            if row["epoch"] and (row["split"], row["name"]) == (split, name)]  # fmt: skip


def test_log_of_a_run_prints_its_epochs_and_draws_them_into_it(finelens_command, run):
    code, output, _ = finelens_command("log", run)
    assert code == 0
    lines = [line.split() for line in output.splitlines()]
    assert [line[:2] for line in lines if line[0] in {"0", "1", "2"}] == [
        ["0", "probe"], ["1", "small"], ["2", "large"]
    ]  # fmt: skip
    assert f"{logged(run, 'val', 'mean_average_precision')[-1]:.4f}" in output
    assert all(len(line) <= 80 for line in output.splitlines() if "picture:" not in line)
    pixels = np.asarray(Image.open(run / "log.png").convert("RGB"))
    assert (pixels[0, 0] == 255).all()
    assert finelens_command("log", run)[0] == 0  # its own picture is drawn anew


def test_all_arrays_go_into_a_table(finelens_command, run, here):
    code, _, _ = finelens_command("log", run, "--csv", here / "a.csv", "--out", here / "a.svg")
    assert code == 0
    table = pl.read_csv(here / "a.csv")
    for split, name in (("train", "loss"), ("val", "loss"), ("val", "micro_precision")):
        assert table[f"{split}_{name}"].to_list()[1:] == pytest.approx(logged(run, split, name))
    assert "<svg" in (here / "a.svg").read_text()
    assert not (run / "log.png").exists()


def test_all_prints_every_figure(finelens_command, run):
    _, some, _ = finelens_command("log", run)
    _, every, _ = finelens_command("log", run, "--all")
    assert "learning" not in some
    assert "learning" in every
    assert every.count("probe") > some.count("probe")


def test_a_run_still_in_training_is_read_up_to_its_last_epoch(finelens_command, run):
    shutil.rmtree(run / "model")
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["epoch"] < 2]
    (run / "metrics.jsonl").write_text("".join(kept) + '{"step": 9, "epo')
    code, output, _ = finelens_command("log", run)
    assert code == 0
    assert "large" not in output
    assert (run / "log.png").is_file()


def test_a_run_with_a_probe_alone_has_a_table_and_no_picture(finelens_command, run):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    probe = [line for line in lines if json.loads(line)["epoch"] == 0]
    (run / "metrics.jsonl").write_text("".join(probe))
    code, output, _ = finelens_command("log", run)
    assert code == 0
    assert "probe" in output
    assert "no epoch has ended yet" in output
    assert not (run / "log.png").exists()


def test_a_foreign_log_is_drawn_by_its_name_where_one_stands(finelens_command, here):
    (here / "train.log").write_text(FOREIGN)
    for _ in range(2):  # a picture of ours is drawn anew
        code, output, _ = finelens_command("log", here / "train.log")
        assert code == 0
    assert [line.split() for line in output.splitlines()[1:3]] == [
        ["1", "training", "0.5123", "0.6000", "0.8011", "0.7000"],
        ["2", "training", "0.4000", "0.5000", "0.9000", "0.8000"],
    ]
    assert Image.open(here / "train.png").size[0] > 1000


def test_a_picture_that_is_not_ours_is_never_overwritten_unasked(finelens_command, here):
    (here / "train.log").write_text(FOREIGN)
    Image.new("RGB", (8, 8)).save(here / "train.png")
    before = (here / "train.png").read_bytes()
    code, _, errors = finelens_command("log", here / "train.log")
    assert code == 1
    assert "--out" in errors
    assert (here / "train.png").read_bytes() == before
    assert finelens_command("log", here / "train.log", "--out", here / "train.png")[0] == 0
    assert (here / "train.png").read_bytes() != before


def test_a_pattern_can_be_given(finelens_command, here):
    (here / "odd.txt").write_text("L 2.5 A 0.25\nL 1.5 A 0.75\n")
    pattern = r"L (?P<loss>\S+) A (?P<accuracy>\S+)"
    code, output, _ = finelens_command("log", here / "odd.txt", "--pattern", pattern)
    assert code == 0
    assert "1.5000" in output
    code, _, errors = finelens_command("log", here / "odd.txt", "--pattern", "L (.*)")
    assert code == 1
    assert "loss or accuracy" in errors
    code, _, errors = finelens_command("log", here / "odd.txt")
    assert code == 1
    assert "--pattern" in errors


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none"], "does not exist; name a run's folder or a text log"),
        (["."], "is not a run folder"),
        (["train.log", "--out", "a.bmp"], "--out a.bmp: a picture ends in one of .png, .svg, .pdf"),
        (["train.log", "--out", "none/a.png"], "does not exist; make it first"),
        (["train.log", "--csv", "a.xls"], "--csv a.xls"),
    ],
)
def test_a_mistake_is_told_in_one_line(finelens_command, here, arguments, told):
    (here / "train.log").write_text(FOREIGN)
    code, output, errors = finelens_command("log", *arguments)
    assert (code, output) == (1, "")
    assert told in errors
    assert errors.count("\n") == 1


def test_a_pattern_is_not_for_a_run(finelens_command, run):
    code, _, errors = finelens_command("log", run, "--pattern", "(?P<loss>x)")
    assert code == 1
    assert "leave it out" in errors


def test_python_gets_arrays(trained, here):
    table = finelens.log(trained, out=here / "a.pdf")
    assert table["val_loss"].to_numpy()[1:] == pytest.approx(logged(trained, "val", "loss"))
    assert (here / "a.pdf").read_bytes().startswith(b"%PDF")
    (here / "train.log").write_text(FOREIGN)
    foreign = finelens.log(here / "train.log")
    assert foreign["train_accuracy"].to_numpy() == pytest.approx([0.8011, 0.9])


def test_a_runs_own_metrics_log_is_the_run(trained):
    assert finelens.log(trained / "metrics.jsonl").equals(finelens.log(trained))
