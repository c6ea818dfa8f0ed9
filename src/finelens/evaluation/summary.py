"""The summary: the figures of one split, as ``metrics.json`` holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from finelens.decision import Decision, highest
from finelens.evaluation import accuracy as accuracies
from finelens.evaluation import calibration, metrics
from finelens.evaluation.average_precision import (
    average_precision,
    average_precision_11pt,
    mean_average_precision,
)
from finelens.evaluation.intervals import affordable_resamples, headline_intervals
from finelens.evaluation.roc import roc_auc
from finelens.evaluation.scores import Scores
from finelens.evaluation.sweep import sweep
from finelens.evaluation.targets import mean_of_known
from finelens.evaluation.thresholds import missed_goals
from finelens.task import BoolArray, FloatArray, Task


def summarise(
    scores: Scores, decision: Decision, *, seed: int = 0, resamples: int | None = None
) -> dict[str, Any]:
    """Return every figure of a split, nested as in ``metrics.json``; NaN where undefined.

    Args:
        scores: What the model said; readable pictures with labels are judged.
        decision: Temperature and thresholds.
        seed: Of the bootstrap.
        resamples: Of the bootstrap; None takes as many as are affordable.

    Raises:
        DataError: If no readable picture has labels.
    """
    judged = scores.labelled()
    task, targets_NK = judged.task, judged.targets_NK
    probabilities_NK = decision.probabilities(task, judged.logits_NK)
    decisions_NK = decision.decide(probabilities_NK)
    per_class = per_class_table(probabilities_NK, targets_NK, task, decision)
    resamples = resamples or affordable_resamples(*targets_NK.shape)
    intervals = headline_intervals(
        probabilities_NK, decisions_NK, targets_NK, seed=seed, resamples=resamples
    )
    content = {
        **_census(scores, judged),
        "threshold": decision.threshold,
        **_grouped(headline(probabilities_NK, decisions_NK, judged)),
        "mean_average_precision_11pt": _mean_column(per_class, "average_precision_11pt"),
        "roc_auc": _mean_column(per_class, "roc_auc"),
        "intervals": {name: list(ends) for name, ends in intervals.items()},
        "bootstrap": {"level": 0.95, "resamples": resamples, "seed": seed},
        "calibration": _calibration(judged, decision),
        "decision": decision.to_json() | {"missed_goals": missed_goals(judged, decision)},
        "thresholds": dict(zip(task.classes, decision.thresholds or (), strict=False)),
        "per_class": per_class,
        "sweep": sweep(_sweepable(probabilities_NK, decision), targets_NK).to_dicts(),
    }
    if not task.is_multi_label:
        confusion = accuracies.confusion_matrix(decisions_NK, targets_NK)
        content["confusion_matrix"] = confusion.tolist()
    return content


def headline(
    probabilities_NK: FloatArray, decisions_NK: BoolArray, judged: Scores
) -> dict[str, float]:
    """Return the headline figures of labelled pictures, fractions in [0, 1] or NaN.

    Keys: those of ``AVERAGES``, accuracy, mean_average_precision, in multi-class also
    top5_accuracy.

    Raises:
        DataError: If N is 0.
    """
    targets_NK = judged.targets_NK
    figures = {name: average(decisions_NK, targets_NK) for name, average in AVERAGES.items()}
    figures["accuracy"] = accuracies.accuracy(decisions_NK, targets_NK)
    figures["mean_average_precision"] = mean_average_precision(probabilities_NK, targets_NK)
    if not judged.task.is_multi_label:
        figures["top5_accuracy"] = accuracies.top_k_accuracy(probabilities_NK, targets_NK, 5)
    return figures


def per_class_table(
    probabilities_NK: FloatArray, targets_NK: FloatArray, task: Task, decision: Decision
) -> list[dict[str, Any]]:
    """Return one row a class: its name, counts, P, R, F1, average precisions, ROC-AUC, threshold.

    Average precision is NaN without positives, ROC-AUC also without negatives, everything
    where all targets are NaN; a multi-class threshold is None.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    counts = metrics.class_counts(decision.decide(probabilities_NK), targets_NK)
    known_K = ~np.isnan(targets_NK).all(axis=0)
    columns: dict[str, Any] = {
        "name": task.classes,
        "positives": counts.true,
        "decided": counts.decided,
        "precision": np.where(known_K, counts.precision, np.nan),
        "recall": np.where(known_K, counts.recall, np.nan),
        "f1": np.where(known_K, counts.f1, np.nan),
        "average_precision": average_precision(probabilities_NK, targets_NK),
        "average_precision_11pt": average_precision_11pt(probabilities_NK, targets_NK),
        "roc_auc": roc_auc(probabilities_NK, targets_NK),
        "threshold": decision.thresholds or (None,) * task.num_classes,
    }
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _census(scores: Scores, judged: Scores) -> dict[str, Any]:
    num_readable = scores.readable().num_examples
    true_NK = judged.targets_NK == 1
    return {
        "num_examples": judged.num_examples,
        "num_unreadable": scores.num_examples - num_readable,
        "num_unlabelled": num_readable - judged.num_examples,
        "num_without_labels": int((~true_NK.any(axis=1)).sum()),
        "num_classes_without_positives": int((~true_NK.any(axis=0)).sum()),
    }


def _grouped(figures: dict[str, float]) -> dict[str, Any]:
    """Return the averages under example, macro and micro, the other figures as they are."""
    content: dict[str, Any] = {}
    for name, value in figures.items():
        if name in AVERAGES:
            group, _, figure = name.partition("_")
            content.setdefault(group, {})[figure] = value
        else:
            content[name] = value
    return content


def _mean_column(per_class: list[dict[str, Any]], name: str) -> float:
    return mean_of_known(np.array([row[name] for row in per_class], dtype=float))


def _calibration(judged: Scores, decision: Decision) -> dict[str, Any]:
    content: dict[str, Any] = {"temperature": decision.temperature}
    for when, temperature in (("before", 1.0), ("after", decision.temperature)):
        probabilities_NK = judged.task.probabilities(judged.logits_NK, temperature)
        said_M, came_true_M = calibration.confidences(
            probabilities_NK, judged.targets_NK, judged.task
        )
        content[f"ece_{when}"] = calibration.expected_calibration_error(said_M, came_true_M)
        curve = calibration.reliability_curve(said_M, came_true_M)
        content[f"reliability_{when}"] = curve.to_dicts()
    return content


def _sweepable(probabilities_NK: FloatArray, decision: Decision) -> FloatArray:
    # multi-class: the recognised class counts only from the threshold on, others never
    if decision.thresholds is not None and not decision.only_highest:
        return probabilities_NK
    return np.where(highest(probabilities_NK), probabilities_NK, -1.0)


AVERAGES = {
    "example_precision": metrics.example_precision,
    "example_recall": metrics.example_recall,
    "example_f1": metrics.example_f1,
    "macro_precision": metrics.macro_precision,
    "macro_recall": metrics.macro_recall,
    "macro_f1": metrics.macro_f1,
    "micro_precision": metrics.micro_precision,
    "micro_recall": metrics.micro_recall,
    "micro_f1": metrics.micro_f1,
}
