"""Thresholds: those by which a model decides, chosen on a split for a goal."""

from __future__ import annotations

import logging
import re
from typing import Literal

import numpy as np

from finelens.decision import Decision
from finelens.errors import ConfigError, DataError
from finelens.evaluation.calibration import choose_temperature
from finelens.evaluation.metrics import class_counts
from finelens.evaluation.operating_points import (
    OperatingPoints,
    class_operating_points,
    operating_points,
)
from finelens.evaluation.scores import Scores
from finelens.task import FloatArray

_LOG = logging.getLogger(__name__)


def best_threshold(points: OperatingPoints, *, min_precision: float | None = None) -> float:
    """Return the threshold of the best operating point of a class that has positives.

    Without ``min_precision`` that of the highest F1 (of equal ones the highest threshold;
    Lipton et al. 2014). With it, that of the most recall among the points of at least this
    precision; where none has it, that of the highest precision, of these the most recall.
    """
    if min_precision is None:
        return float(points.thresholds()[np.argmax(points.counts.f1)])
    precision_G, correct_G = points.counts.precision, points.counts.correct
    reachable_G = precision_G >= min(min_precision, precision_G.max())
    return float(points.thresholds()[np.argmax(np.where(reachable_G, correct_G, -1))])


def choose_thresholds(
    probabilities_NK: FloatArray,
    targets_NK: FloatArray,
    *,
    min_precision: float | None = None,
    min_positives: int = 10,
) -> tuple[float, FloatArray]:
    """Return the global threshold and one a class, shape (K,), for the best F1 or a precision.

    The global one is the best of all known cells pooled (micro F1, or pooled precision). A
    class of n positives takes ``w * own + (1 - w) * global`` with ``w = n / (n +
    min_positives)``: few positives choose badly, so they are believed little (the credibility
    weight of Bühlmann 1967). Where ``min_precision`` is promised, shrinking never lowers a
    class's threshold. A class without positives takes the global one.

    Raises:
        DataError: If the shapes differ, or no picture has a true class.
    """
    if not (targets_NK == 1).any():
        raise DataError("thresholds cannot be chosen: no picture has a true class")
    known_NK = ~np.isnan(targets_NK)
    pooled = operating_points(probabilities_NK[known_NK], targets_NK[known_NK] == 1)
    threshold = best_threshold(pooled, min_precision=min_precision)
    thresholds_K = np.full(targets_NK.shape[1], threshold)
    for k, points in enumerate(class_operating_points(probabilities_NK, targets_NK)):
        if points.num_positive:
            own = best_threshold(points, min_precision=min_precision)
            weight = points.num_positive / (points.num_positive + min_positives)
            shrunk = weight * own + (1 - weight) * threshold
            thresholds_K[k] = shrunk if min_precision is None else max(own, shrunk)
    return threshold, thresholds_K


def choose_decision(
    scores: Scores,
    *,
    goal: str = "f1",
    min_precision: float | None = None,
    scope: Literal["per_class", "global"] = "per_class",
    threshold: float | None = None,
    calibrate: bool = True,
    min_positives: int = 10,
    split_name: str = "val",
) -> Decision:
    """Return the decision chosen on the readable, labelled pictures of a split.

    First the temperature, then, in multi-label, the thresholds on the calibrated
    probabilities. Multi-class decides by argmax and takes none.

    Args:
        scores: What the model said of the split.
        goal: ``f1`` or ``precision>=X``.
        min_precision: X in (0, 1] says the goal ``precision>=X`` whatever ``goal`` is.
        scope: One threshold a class, or the global one for all.
        threshold: A number in [0, 1] fixes it for all classes; goal and scope are then moot.
        calibrate: Whether to choose a temperature; 1 otherwise.
        min_positives: Positives at which a class's own threshold counts for half.
        split_name: Named in ``Decision.chosen_on``.

    Raises:
        ConfigError: If the goal is unknown.
        DataError: If no picture has labels, or, in multi-label, none has a true class.
    """
    judged = scores.labelled()
    if not judged.num_examples:
        raise DataError(f'split "{split_name}" has no labelled, readable picture to decide on')
    temperature = 1.0
    if calibrate:
        temperature = choose_temperature(judged.logits_NK, judged.targets_NK, judged.task)
    # clips alone may have notes
    media = "pictures" if scores.notes is None else "clips"
    chosen_on = f"{split_name} ({judged.num_examples} {media})"
    if not judged.task.is_multi_label:
        if threshold is not None:
            _LOG.warning("threshold %s is not used: multi-class decides by argmax", threshold)
        return Decision(temperature=temperature, chosen_on=chosen_on)
    if threshold is not None:
        fixed = (float(threshold),) * judged.task.num_classes
        return Decision(temperature, fixed, float(threshold), "fixed", "global", chosen_on)
    if min_precision is not None:
        goal = f"precision>={min_precision}"
    common, thresholds_K = choose_thresholds(
        judged.task.probabilities(judged.logits_NK, temperature),
        judged.targets_NK,
        min_precision=precision_of_goal(goal),
        min_positives=min_positives,
    )
    thresholds = tuple(thresholds_K.tolist())
    if scope == "global":
        thresholds = (common,) * judged.task.num_classes
    decision = Decision(temperature, thresholds, common, goal, scope, chosen_on)
    _tell_missed_goals(judged, decision)
    return decision


def missed_goals(scores: Scores, decision: Decision) -> list[str]:
    """Return the classes that are decided with less precision than the goal ``precision>=X``.

    Only classes with positives and decided at least once can miss it. A global threshold
    promises the pooled precision: if that is missed, all classes are returned. Empty for
    other goals.
    """
    if not decision.goal.startswith("precision"):
        return []
    judged = scores.labelled()
    probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
    counts = class_counts(decision.decide(probabilities_NK), judged.targets_NK)
    wanted = precision_of_goal(decision.goal) or 0.0
    if decision.scope == "global":
        return list(judged.task.classes) if counts.sum().precision < wanted else []
    missed_K = (counts.true > 0) & (counts.decided > 0) & (counts.precision < wanted)
    return judged.task.names(missed_K)


def precision_of_goal(goal: str) -> float | None:
    """Return X of ``precision>=X``, None of ``f1``.

    Raises:
        ConfigError: If the goal is neither.
    """
    if goal == "f1":
        return None
    found = re.fullmatch(r"precision\s*>=\s*(\d*\.?\d+)", goal)
    if not found or not 0 < float(found[1]) <= 1:
        raise ConfigError(f'goal "{goal}" must be f1 or precision>=X with X in (0, 1]')
    return float(found[1])


def _tell_missed_goals(judged: Scores, decision: Decision) -> None:
    missed = missed_goals(judged, decision)
    if missed:
        names = ", ".join(missed)
        _LOG.warning("%s is out of reach on %s for: %s", decision.goal, decision.chosen_on, names)
