import csv

import numpy as np
import pytest

from finelens.decision import Decision
from finelens.evaluation.decisions import decisions_array, write_decisions
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.scores import Scores
from finelens.task import Task, TaskKind

THRESHOLDS = Decision(1.5, (0.3, 0.5, 0.6, 0.4), 0.5, "f1", "per_class", "val (9)")


@pytest.fixture(params=list(TaskKind))
def case(request):
    """Return scores of which one picture is unreadable, their decision, and their 0/1 array."""
    logits_NK = np.random.default_rng(0).normal(0, 2, (9, 4)).astype(np.float32)
    logits_NK[4] = np.nan
    errors = [None] * 9
    errors[4] = "4.jpg: no picture"
    scores = Scores(
        ids=tuple(f"below/{n}, {n}.jpg" for n in range(9)),
        paths=tuple(f"/data/{n}.jpg" for n in range(9)),
        logits_NK=logits_NK,
        targets_NK=np.full((9, 4), np.nan, dtype=np.float32),
        errors=tuple(errors),
        task=Task(request.param, ("id", "path", "ball", "Kegel ß")),
    )
    if request.param is TaskKind.MULTI_LABEL:
        decision = THRESHOLDS
        expected_NK = 1 / (1 + np.exp(-logits_NK.astype(np.float64) / 1.5)) >= THRESHOLDS.thresholds
    else:
        decision = Decision(temperature=0.7)
        expected_NK = np.eye(4)[np.nan_to_num(logits_NK).argmax(axis=1)]
        expected_NK[4] = 0
    return scores, decision, expected_NK.astype(np.uint8)


def test_the_array_says_what_was_decided_and_zeros_for_an_unreadable_picture(case):
    scores, decision, expected_NK = case
    decisions_NK = decisions_array(predictions_table(scores, decision))
    assert decisions_NK.dtype == np.uint8
    assert expected_NK.any()
    np.testing.assert_array_equal(decisions_NK, expected_NK)


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_both_files_hold_the_same_in_the_same_order(case, tmp_path, suffix):
    scores, decision, expected_NK = case
    write_decisions(tmp_path / f"test{suffix}", predictions_table(scores, decision))
    array_NK = np.load(tmp_path / "test.npy", allow_pickle=False)
    np.testing.assert_array_equal(array_NK, expected_NK)
    assert array_NK.flags.c_contiguous
    header, *rows = csv.reader((tmp_path / "test.csv").open(encoding="utf-8", newline=""))
    assert header == ["id", *scores.task.classes]
    assert [row[0] for row in rows] == list(scores.ids)
    assert rows[4][1:] == [""] * 4
    readable = [row[1:] for n, row in enumerate(rows) if n != 4]
    assert np.array(readable).astype(int).tolist() == np.delete(expected_NK, 4, axis=0).tolist()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["test.csv", "test.npy"]


def test_predictions_without_ids_are_named_by_their_path(case, tmp_path):
    scores, decision, _ = case
    write_decisions(tmp_path / "a.npy", predictions_table(scores, decision).drop("id"))
    rows = list(csv.reader((tmp_path / "a.csv").open(encoding="utf-8", newline="")))
    assert [row[0] for row in rows[1:]] == list(scores.paths)
