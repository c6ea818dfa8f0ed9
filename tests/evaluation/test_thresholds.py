import logging
from dataclasses import replace

import numpy as np
import pytest

from finelens.errors import ConfigError, DataError
from finelens.evaluation.counts import count_cells
from finelens.evaluation.operating_points import operating_points
from finelens.evaluation.thresholds import (
    best_threshold,
    choose_decision,
    choose_thresholds,
    missed_goals,
    precision_of_goal,
)
from finelens.task import TaskKind


def brute_force(scores, positive):
    """Precision, recall and F1 at every distinct score."""
    for value in sorted(set(scores.tolist())):
        yield count_cells((scores >= value)[:, None], positive[:, None].astype(float)).sum()


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_reaches_the_best_f1_of_all_thresholds(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 15, 30) / 14
    positive = generator.random(30) < 0.3
    positive[0] = True
    threshold = best_threshold(operating_points(scores, positive))
    ours = count_cells((scores >= threshold)[:, None], positive[:, None].astype(float)).sum()
    assert ours.f1 == pytest.approx(max(counts.f1 for counts in brute_force(scores, positive)))


@pytest.mark.parametrize("wanted", [0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_a_precision_goal_takes_the_most_recall_or_else_the_best_precision(seed, wanted):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 15, 30) / 14
    positive = generator.random(30) < 0.3
    positive[0] = True
    threshold = best_threshold(operating_points(scores, positive), min_precision=wanted)
    ours = count_cells((scores >= threshold)[:, None], positive[:, None].astype(float)).sum()
    reached = [counts for counts in brute_force(scores, positive) if counts.precision >= wanted]
    if reached:
        assert ours.precision >= wanted
        assert ours.recall == pytest.approx(max(counts.recall for counts in reached))
    else:
        best = max(counts.precision for counts in brute_force(scores, positive))
        assert ours.precision == pytest.approx(best)


def test_the_threshold_lies_halfway_between_separable_scores():
    probabilities = np.array([[0.1], [0.2], [0.8], [0.9]])
    targets = np.array([[0.0], [0.0], [1.0], [1.0]])
    threshold, thresholds = choose_thresholds(probabilities, targets)
    assert threshold == pytest.approx(0.5)
    assert thresholds == pytest.approx([0.5])


def test_few_positives_lean_on_the_global_threshold():
    probabilities = np.array([[0.9, 0.7], [0.8, 0.4], [0.7, 0.15], [0.1, 0.05]])
    targets = np.array([[1.0, 0], [1, 0], [1, 1], [0, 0]])
    threshold, believed = choose_thresholds(probabilities, targets, min_positives=0)
    _, shrunk = choose_thresholds(probabilities, targets, min_positives=3)
    own = np.array([(0.7 + 0.1) / 2, (0.15 + 0.05) / 2])
    assert believed == pytest.approx(own)
    weight = np.array([3 / 6, 1 / 4])
    assert shrunk == pytest.approx(weight * own + (1 - weight) * threshold)


def test_a_class_without_positives_takes_the_global_threshold():
    probabilities = np.array([[0.9, 0.6], [0.2, 0.1]])
    threshold, thresholds = choose_thresholds(
        probabilities, np.array([[1.0, 0], [0, 0]]), min_positives=0
    )
    assert thresholds[1] == threshold


def test_shrinking_never_breaks_a_promised_precision(trained_scores):
    scores = trained_scores(200)
    decision = choose_decision(scores, goal="precision>=0.8", min_positives=50)
    assert missed_goals(scores, decision) == []
    probabilities = decision.probabilities(scores.task, scores.logits_NK)
    counts = count_cells(decision.decide(probabilities), scores.targets_NK).sum(axis=0)
    assert (counts.precision >= 0.8).all()


def test_ignored_targets_do_not_move_a_threshold():
    probabilities = np.array([[0.1], [0.2], [0.8], [0.9], [0.3], [0.7]])
    targets = np.array([[0.0], [0.0], [1.0], [1.0], [np.nan], [np.nan]])
    assert choose_thresholds(probabilities, targets)[0] == pytest.approx(0.5)


def test_a_goal_out_of_reach_is_named(scores_of, caplog):
    scores = scores_of([[2, 3], [1, -3], [0, -3]], [[0, 1], [1, 0], [0, 0]])
    with caplog.at_level(logging.WARNING):
        decision = choose_decision(
            scores, min_precision=0.9, min_positives=0, split_name="val", calibrate=False
        )
    assert decision.goal == "precision>=0.9"
    assert missed_goals(scores, decision) == ["class-0"]
    assert "precision>=0.9 is out of reach on val (3 pictures) for: class-0" in caplog.text


def test_a_global_precision_goal_is_kept_or_missed_by_all_classes(scores_of):
    reachable = scores_of([[3, -3], [-3, 3]], [[1, 0], [0, 1]])
    decision = choose_decision(reachable, goal="precision>=0.9", scope="global")
    assert missed_goals(reachable, decision) == []
    unreachable = scores_of([[3, -3], [3, 3]], [[0, 0], [0, 1]])
    decision = choose_decision(unreachable, goal="precision>=0.9", scope="global")
    assert missed_goals(unreachable, decision) == ["class-0", "class-1"]


def test_the_global_scope_gives_every_class_the_best_pooled_f1(trained_scores):
    scores = trained_scores()
    decision = choose_decision(scores, scope="global")
    assert decision.thresholds == (decision.threshold,) * 5
    probabilities = decision.probabilities(scores.task, scores.logits_NK)
    best = max(
        count_cells(probabilities >= value, scores.targets_NK).sum().f1
        for value in np.unique(probabilities)
    )
    ours = count_cells(decision.decide(probabilities), scores.targets_NK).sum().f1
    assert ours == pytest.approx(best)


def test_a_fixed_threshold_is_taken_as_it_is(trained_scores):
    decision = choose_decision(trained_scores(), threshold=0.4)
    assert decision.thresholds == (0.4,) * 5
    assert (decision.threshold, decision.goal, decision.scope) == (0.4, "fixed", "global")
    assert decision.chosen_on == "val (80 pictures)"


def test_clips_are_counted_as_clips(trained_scores):
    scores = trained_scores(9)
    clips = replace(scores, notes=("cut off", *(None,) * 8))
    assert choose_decision(clips).chosen_on == "val (9 clips)"


def test_thresholds_are_chosen_on_calibrated_probabilities(trained_scores):
    scores = trained_scores(300, sureness=8.0)
    plain = choose_decision(scores, calibrate=False)
    calibrated = choose_decision(scores)
    assert plain.temperature == 1
    assert calibrated.temperature > 1
    decisions = [
        decision.decide(decision.probabilities(scores.task, scores.logits_NK))
        for decision in (plain, calibrated)
    ]
    assert (decisions[0] == decisions[1]).mean() > 0.95


def test_multi_class_decides_by_argmax_and_says_that_a_threshold_is_not_used(
    trained_scores, caplog
):
    scores = trained_scores(kind=TaskKind.MULTI_CLASS)
    decision = choose_decision(scores, threshold=0.4)
    assert (decision.goal, decision.threshold, decision.thresholds) == ("argmax", None, None)
    assert "0.4 is not used" in caplog.text


def test_unreadable_and_unlabelled_pictures_have_no_say(scores_of):
    nan = np.nan
    scores = scores_of(
        [[3, 3], [-3, -3], [nan, nan], [9, 9]],
        [[1, 1], [0, 0], [1, 1], [nan, nan]],
        errors=[None, None, "truncated", None],
    )
    assert choose_decision(scores).chosen_on == "val (2 pictures)"


def test_choosing_without_labels_or_positives_is_an_error(scores_of):
    with pytest.raises(DataError, match='split "val" has no labelled'):
        choose_decision(scores_of([[1.0, 2.0]], [[np.nan, np.nan]]))
    with pytest.raises(DataError, match="no picture has a true class"):
        choose_decision(scores_of([[1.0, 2.0]], [[0, 0]]))


def test_a_goal_is_read_or_refused():
    assert precision_of_goal("f1") is None
    assert precision_of_goal("precision>=0.85") == 0.85
    for goal in ("precision>=1.5", "precision>=0", "recall>=0.5"):
        with pytest.raises(ConfigError, match="must be f1 or precision>=X"):
            precision_of_goal(goal)
