import json

import numpy as np
import pytest
import torch

from finelens.errors import RunError
from finelens.runs.log import MetricsLog, read_log

FIRST = {"step": 4, "epoch": 1, "phase": "small", "split": "train"}
SECOND = {"step": 8, "epoch": 2, "phase": "größer", "split": "val"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_a_log_has_one_row_a_value_in_the_order_written(path):
    log = MetricsLog(path)
    log.write({"loss": 0.5, "accuracy": 0.25}, **FIRST)
    log.write({"loss": 0.4}, **SECOND)
    assert read_log(path) == [
        FIRST | {"name": "loss", "value": 0.5},
        FIRST | {"name": "accuracy", "value": 0.25},
        SECOND | {"name": "loss", "value": 0.4},
    ]


def test_the_keys_are_those_that_scripts_rely_on(path):
    MetricsLog(path).write({"loss": 1}, **FIRST)
    row = json.loads(path.read_text())
    assert list(row) == ["step", "epoch", "phase", "split", "name", "value"]


def test_values_come_back_to_the_last_bit(path):
    values = {str(n): value for n, value in enumerate(np.random.default_rng(0).random(100))}
    MetricsLog(path).write(values, **FIRST)
    assert {row["name"]: row["value"] for row in read_log(path)} == values


def test_nan_and_infinity_are_null_in_strict_json(path):
    values = {"a": float("nan"), "b": float("inf"), "c": -float("inf"), "d": 0.0}
    MetricsLog(path).write(values, **FIRST)
    assert [row["value"] for row in read_log(path)] == [None, None, None, 0.0]
    assert "NaN" not in path.read_text() and "Infinity" not in path.read_text()


def test_numbers_of_numpy_and_torch_are_written_as_numbers(path):
    MetricsLog(path).write({"a": np.float32(0.5), "b": torch.tensor(2), "c": 3}, **FIRST)
    assert [row["value"] for row in read_log(path)] == [0.5, 2.0, 3.0]


def test_a_log_cut_to_its_size_and_continued_reads_like_one_left_alone(path, tmp_path):
    alone = MetricsLog(tmp_path / "alone.jsonl")
    alone.write({"loss": 0.5}, **FIRST)
    alone.write({"loss": 0.4}, **SECOND)
    killed = MetricsLog(path)
    killed.write({"loss": 0.5}, **FIRST)
    size = killed.size
    killed.write({"loss": 0.9, "lost": 1.0}, **SECOND)
    with path.open("a") as file:
        file.write('{"step": 8, "epo')
    resumed = MetricsLog(path, size=size)
    assert resumed.size == size
    resumed.write({"loss": 0.4}, **SECOND)
    assert path.read_bytes() == (tmp_path / "alone.jsonl").read_bytes()


def test_a_new_log_starts_empty(path):
    path.write_text("of an earlier try\n")
    assert MetricsLog(path).size == 0
    assert read_log(path) == []


def test_a_log_shorter_than_its_checkpoint_knows_is_told_and_left_alone(path):
    path.write_text("short\n")
    with pytest.raises(RunError, match="holds 6 bytes, and the checkpoint knows 100"):
        MetricsLog(path, size=100)
    assert path.read_text() == "short\n"


def test_only_the_writing_process_touches_the_file(path):
    log = MetricsLog(path, size=5, is_writer=False)
    log.write({"loss": 1.0}, **FIRST)
    assert log.size == 0
    assert not path.exists()


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_last_line_cut_by_a_kill_is_left_out(path, cut):
    log = MetricsLog(path)
    log.write({"loss": 0.5}, **FIRST)
    log.write({"loss": 0.4}, **SECOND)
    path.write_bytes(path.read_bytes()[:-cut])
    assert [row["value"] for row in read_log(path)] == [0.5]


@pytest.mark.parametrize("content", [b'{"a": 1}\nno json\n{"a": 2}\n', b"\xff\xd8\xff\n"])
def test_a_foreign_file_is_told(path, content):
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"metrics\.jsonl is not a metrics log"):
        read_log(path)


def test_a_missing_log_is_told(path):
    with pytest.raises(RunError, match=r"metrics\.jsonl cannot be read: No such file"):
        read_log(path)
