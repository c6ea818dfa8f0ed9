import json

import polars as pl
import pytest

from finelens.errors import RunError
from finelens.reporting.training_log import read_foreign_log, read_run_log
from finelens.runs.log import MetricsLog


def test_a_run_is_a_row_an_epoch_with_the_probe_first(make_run):
    table = read_run_log(make_run()).table()
    assert table["epoch"].to_list() == [0, 1, 2, 3]
    assert table["phase"].to_list() == ["probe", "warm <up>", "fine-tune", "fine-tune"]
    assert table["train_loss"].to_list() == [None, 1.0, 0.5, pytest.approx(1 / 3)]
    assert table["val_mean_average_precision"].to_list() == [
        0.7,
        *(0.6 + n / 20 for n in (1, 2, 3)),
    ]
    assert "train_learning_rate" in table.columns


def test_the_headline_holds_the_loss_and_the_tasks_figures(make_run):
    run = make_run()
    log = MetricsLog(run.metrics_log, size=run.metrics_log.stat().st_size)
    log.write({"accuracy": 0.5, "example_f1": 0.4}, step=9, epoch=3, phase="b", split="val")
    run.environment.write_text(json.dumps({"task": "multi-label"}))
    figures = ["val_example_f1", "val_mean_average_precision"]
    assert read_run_log(run).headline().columns == [
        "epoch", "phase", "train_loss", "val_loss", *figures
    ]  # fmt: skip
    run.environment.write_text(json.dumps({"task": "multi-class"}))
    assert read_run_log(run).headline().columns[2:] == ["train_loss", "val_loss", "val_accuracy"]


def test_a_run_that_has_measured_nothing_is_told(make_run):
    run = make_run()
    run.metrics_log.write_text("")
    with pytest.raises(RunError, match="has measured nothing yet"):
        read_run_log(run)
    run.metrics_log.unlink()
    with pytest.raises(RunError, match="has measured nothing yet"):
        read_run_log(run)


def test_lines_of_one_epoch_and_split_are_averaged(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(
        "Epoch 1 batch 1 Loss: 3\nEpoch 1 batch 2 Loss: 1\nval Loss: 4\nEpoch 2 Loss: nan\n"
    )
    assert read_foreign_log(path).table().to_dict(as_series=False) == {
        "epoch": [1, 2],
        "phase": ["training", "training"],
        "train_loss": [2.0, None],
        "val_loss": [4.0, None],
    }


def test_columns_are_numbers_even_where_an_epoch_lacks_one(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("Epoch 1 Loss: 3\nEpoch 2 test Acc: 1\n")
    table = read_foreign_log(path).table()
    assert table.select("train_loss", "test_accuracy").dtypes == [pl.Float64, pl.Float64]


def test_a_log_of_nothing_but_nan_is_told(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("Loss: nan\nLoss: inf\n")
    with pytest.raises(RunError, match="every loss and accuracy of it is NaN or infinite"):
        read_foreign_log(path)


def test_what_a_foreign_log_measured_before_its_first_epoch_is_its_start(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("val Acc: 0.1\nEpoch 1/2\nval Acc: 0.5\n")
    table = read_foreign_log(path).table()
    assert table["phase"].to_list() == ["start", "training"]
    assert table["val_accuracy"].to_list() == [0.1, 0.5]
