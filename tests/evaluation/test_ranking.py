import numpy as np
import polars as pl
import pytest

from finelens.decision import Decision
from finelens.evaluation.ranking import top_table, worst_mistakes
from finelens.task import TaskKind

HALF = Decision(thresholds=(0.5, 0.5))
NAN = np.nan


def test_the_top_table_ranks_every_class_by_calibrated_probability(scores_of):
    scores = scores_of([[0, 3], [2, 1], [1, 2]], [[0, 1], [1, NAN], [0, 0]])
    table = top_table(scores, Decision(temperature=2.0, thresholds=(0.5, 0.5)), n=2)
    assert table.select("class", "rank", "id", "is_positive").rows() == [
        ("class-0", 1, "1.jpg", True),
        ("class-0", 2, "2.jpg", False),
        ("class-1", 1, "0.jpg", True),
        ("class-1", 2, "2.jpg", False),
    ]
    assert table["probability"][0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert table["path"][0] == "/data/1.jpg"


def test_the_top_table_keeps_ties_in_order_and_leaves_out_unreadable_pictures(scores_of):
    scores = scores_of(
        [[NAN, NAN], [1, 1], [1, 1]], [[1, 1], [NAN, NAN], [0, 0]], errors=["empty", None, None]
    )
    table = top_table(scores, HALF)
    assert table["id"].to_list() == ["1.jpg", "2.jpg"] * 2
    assert table["is_positive"].to_list() == [None, False] * 2


def test_the_worst_mistakes_name_the_worst_cell_of_each_picture(scores_of):
    scores = scores_of(
        [[4, 2], [-1, 3], [-3, -2], [9, NAN], [9, 9]],
        [[0, 0], [1, 1], [0, 0], [1, 1], [NAN, 0]],
        errors=[None, None, None, "truncated", None],
    )
    table = worst_mistakes(scores, HALF)
    assert table.select("rank", "id", "class", "is_positive").rows() == [
        (1, "4.jpg", "class-1", False),
        (2, "0.jpg", "class-0", False),
        (3, "1.jpg", "class-0", True),
    ]
    assert table["loss"][2] == pytest.approx(np.log(1 + np.exp(1)), rel=1e-5)
    assert table["labels"].to_list() == [[], [], ["class-0", "class-1"]]
    assert table["decided"].to_list() == [
        ["class-0", "class-1"],
        ["class-0", "class-1"],
        ["class-1"],
    ]
    assert worst_mistakes(scores, HALF, n=1).height == 1


def test_multi_class_mistakes_show_the_recognised_class(scores_of):
    scores = scores_of(
        [[2, 1, 0], [0, 5, 0], [3, 0, 0]], np.eye(3)[[1, 0, 0]], kind=TaskKind.MULTI_CLASS
    )
    table = worst_mistakes(scores, Decision())
    assert table.select("id", "class", "is_positive", "labels", "decided").rows() == [
        ("1.jpg", "class-1", False, ["class-0"], ["class-1"]),
        ("0.jpg", "class-0", False, ["class-1"], ["class-0"]),
    ]
    assert table["loss"][0] == pytest.approx(5 + np.log(1 + 2 * np.exp(-5)))


def test_a_faultless_model_has_no_mistakes(scores_of):
    assert worst_mistakes(scores_of([[3, -3]], [[1, 0]]), HALF).height == 0


def test_saturated_scores_have_a_finite_loss(scores_of):
    assert np.isfinite(worst_mistakes(scores_of([[900, -900]], [[0, 0]]), HALF)["loss"][0])


def test_a_multi_class_picture_of_which_nothing_is_said_is_shown_as_missed(scores_of):
    scores = scores_of([[2, 1, 0], [0, 0.1, 0]], np.eye(3)[[1, 0]], kind=TaskKind.MULTI_CLASS)
    decision = Decision(thresholds=(0.5, 0.5, 0.5), only_highest=True)
    table = worst_mistakes(scores, decision)
    assert table.select("id", "class", "is_positive", "decided").rows() == [
        ("0.jpg", "class-0", False, ["class-0"]),
        ("1.jpg", "class-0", True, []),
    ]


def test_the_top_50_of_a_class_say_how_probable_and_whether_the_label_agrees(trained_scores):
    scores = trained_scores(200)
    decision = Decision(temperature=1.5, thresholds=(0.5,) * 5)
    of_class = top_table(scores, decision).filter(pl.col("class") == "class-2")
    probabilities_N = decision.probabilities(scores.task, scores.logits_NK)[:, 2]
    best = sorted(range(200), key=lambda row: (-probabilities_N[row], row))[:50]
    assert of_class["id"].to_list() == [scores.ids[row] for row in best]
    assert of_class["probability"].to_list() == [probabilities_N[row] for row in best]
    assert of_class["is_positive"].to_list() == [bool(scores.targets_NK[row, 2]) for row in best]
