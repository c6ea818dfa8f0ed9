"""Rankings of pictures: the surest of every class, and the worst mistakes."""

from __future__ import annotations

import numpy as np
import polars as pl

from finelens.decision import Decision
from finelens.evaluation.scores import Scores
from finelens.task import FloatArray

TOP_SCHEMA = {
    "class": pl.String,
    "rank": pl.Int64,
    "id": pl.String,
    "path": pl.String,
    "probability": pl.Float64,
    "is_positive": pl.Boolean,
}
MISTAKE_SCHEMA = {
    "rank": pl.Int64,
    "id": pl.String,
    "path": pl.String,
    "class": pl.String,
    "probability": pl.Float64,
    "is_positive": pl.Boolean,
    "labels": pl.List(pl.String),
    "decided": pl.List(pl.String),
    "loss": pl.Float64,
}


def top_table(scores: Scores, decision: Decision, n: int = 50) -> pl.DataFrame:
    """Return the n readable pictures of the highest probability of every class.

    Columns: class, rank (from 1), id, path, probability (calibrated, in [0, 1]), is_positive
    (null where unknown). Classes in their order; of equal probabilities the earlier picture
    ranks higher.
    """
    readable = scores.readable()
    probabilities_NK = decision.probabilities(readable.task, readable.logits_NK)
    parts = [pl.DataFrame(schema=TOP_SCHEMA)]
    for k, name in enumerate(readable.task.classes):
        rows = np.argsort(-probabilities_NK[:, k], kind="stable")[:n]
        columns = {
            "class": [name] * len(rows),
            "rank": np.arange(1, len(rows) + 1),
            "id": [readable.ids[row] for row in rows],
            "path": [readable.paths[row] for row in rows],
            "probability": probabilities_NK[rows, k],
            "is_positive": [_answer(readable.targets_NK[row, k]) for row in rows],
        }
        parts.append(pl.DataFrame(columns, schema=TOP_SCHEMA))
    return pl.concat(parts)


def worst_mistakes(scores: Scores, decision: Decision, n: int = 50) -> pl.DataFrame:
    """Return the n wrongly decided pictures of the greatest loss, one row a picture.

    Columns: rank (from 1), id, path, class (the wrongly decided class of the greatest loss;
    in multi-class the recognised one), probability (of that class), is_positive (False: it was
    seen where it is not; True: it was missed), labels and decided (class names), loss
    (negative log-likelihood in nats; in multi-class that of the true class).
    """
    judged = scores.labelled()
    probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
    decisions_NK = decision.decide(probabilities_NK)
    true_NK = judged.targets_NK == 1
    wrong_NK = (decisions_NK != true_NK) & ~np.isnan(judged.targets_NK)
    loss_NK = np.where(wrong_NK, _losses(probabilities_NK, judged), -1.0)
    if not judged.task.is_multi_label:
        # the missed class has the same loss; show the one that was seen in its place, if any was
        loss_NK[true_NK & decisions_NK.any(axis=1, keepdims=True)] = -1.0
    loss_N = loss_NK.max(axis=1, initial=-1.0)
    rows = np.argsort(-loss_N, kind="stable")[: min(n, int((loss_N >= 0).sum()))]
    worst = loss_NK[rows].argmax(axis=1) if len(rows) else rows
    columns = {
        "rank": np.arange(1, len(rows) + 1),
        "id": [judged.ids[row] for row in rows],
        "path": [judged.paths[row] for row in rows],
        "class": [judged.task.classes[k] for k in worst],
        "probability": probabilities_NK[rows, worst],
        "is_positive": true_NK[rows, worst],
        "labels": [judged.task.names(true_NK[row]) for row in rows],
        "decided": [judged.task.names(decisions_NK[row]) for row in rows],
        "loss": loss_N[rows],
    }
    return pl.DataFrame(columns, schema=MISTAKE_SCHEMA)


def _losses(probabilities_NK: FloatArray, judged: Scores) -> FloatArray:
    true_NK = judged.targets_NK == 1
    if judged.task.is_multi_label:
        likelihood_NK = np.where(true_NK, probabilities_NK, 1 - probabilities_NK)
    else:
        likelihood_N1 = (probabilities_NK * true_NK).sum(axis=1, keepdims=True)
        likelihood_NK = np.broadcast_to(likelihood_N1, probabilities_NK.shape)
    # a saturated probability keeps a finite loss
    return -np.log(np.maximum(likelihood_NK, np.finfo(np.float64).tiny))


def _answer(target: np.floating) -> bool | None:
    return None if np.isnan(target) else bool(target == 1)
