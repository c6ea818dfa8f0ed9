"""The evidence: charts and tables of one evaluated split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from finelens.data.example import Span
from finelens.decision import Decision
from finelens.evaluation.curves import curve_table
from finelens.evaluation.evaluate import Evaluation, read_evaluation
from finelens.evaluation.scores import Scores, read_scores
from finelens.reporting.chart import Chart
from finelens.reporting.figures import Line, curves_chart, reliability_chart, sweep_chart
from finelens.runs.directory import RunDirectory
from finelens.task import Task

MOST_CLASS_CURVES = 60
MOST_CONFUSION_CLASSES = 60
MOST_POOLED_CELLS = 4_000_000
_MOST_PAIRS = 10


@dataclass(frozen=True)
class Evidence:
    """A split's evaluation, and the scores it was computed from."""

    evaluation: Evaluation
    scores: Scores
    decision: Decision

    @property
    def split(self) -> str:
        """Return the split's name."""
        return self.evaluation.split

    def spans(self) -> dict[str, Span]:
        """Return the part of its video that each example is, by id."""
        whole = ((None, None),) * self.scores.num_examples
        return dict(zip(self.scores.ids, self.scores.spans or whole, strict=True))

    def decided(self) -> set[tuple[str, str]]:
        """Return the (id, class) pairs of readable pictures in which the class is recognised."""
        scores = self.scores.readable()
        probabilities_NK = self.decision.probabilities(scores.task, scores.logits_NK)
        places = np.argwhere(self.decision.decide(probabilities_NK))
        return {(scores.ids[n], scores.task.classes[k]) for n, k in places}


def read_evidence(run: RunDirectory, split: str, task: Task, decision: Decision) -> Evidence:
    """Return the evidence of an evaluated split.

    Raises:
        RunError: If a file of the evaluation is missing, broken, or of another model.
    """
    folder = run.evaluation(split)
    scores = read_scores(folder / "scores.parquet", task)
    return Evidence(read_evaluation(folder), scores, decision)


def sweep_charts(evidence: Evidence, noun: str = "picture") -> list[Chart]:
    """Return the threshold sweeps: averaged over classes, and over pictures.

    Multi-class pools the pictures instead: precision is then the accuracy among those the
    model speaks on, recall the share of all that it gets right. The precision averaged over
    classes and its best point are those of the VOC curriculum (S4); the averages over
    pictures are the A2D course's.

    Args:
        evidence: Of the split.
        noun: What its examples are called.
    """
    table = evidence.evaluation.sweep.fill_null(float("nan"))
    thresholds = table["threshold"].to_list()
    charts = []
    families = {"macro": "mean over classes"} | (
        {"example": f"mean over {noun}s"}
        if evidence.scores.task.is_multi_label
        else {"micro": f"all {noun}s together"}
    )
    chosen = _chosen_for_all(evidence.decision)
    for family, over in families.items():
        curves = {
            "precision": table[f"{family}_precision"].to_list(),
            "recall": table[f"{family}_recall"].to_list(),
            "F1": table[f"{family}_f1"].to_list(),
        }
        best = [_highest(words, thresholds, curves[words]) for words in ("precision", "F1")]
        charts.append(
            sweep_chart(
                f"sweep-{evidence.split}-{family}", thresholds, curves, best=best,
                title=f"{evidence.split.capitalize()}: {over}", chosen=chosen,
            )
        )  # fmt: skip
    return charts


def _chosen_for_all(decision: Decision) -> float | None:
    """Return the one threshold that decides of all classes; None where each has its own."""
    thresholds = set(decision.thresholds or ())
    return thresholds.pop() if len(thresholds) == 1 else None


def ranking_charts(evidence: Evidence) -> list[Chart]:
    """Return the precision-recall and the ROC chart: single classes, and their averages."""
    pooled = pooled_curves(evidence)
    return [
        _ranking_chart(
            evidence, "precision_recall", pooled,
            title="Precision over recall", axis_labels=("recall", "precision"),
        ),
        _ranking_chart(
            evidence, "roc", pooled,
            title="ROC", axis_labels=("false positive rate", "true positive rate"),
        ),
    ]  # fmt: skip


def reliability(evidence: Evidence) -> Chart:
    """Return the reliability diagram before and after temperature scaling."""
    calibration = evidence.evaluation.metrics["calibration"]
    bins, counts = {}, {}
    for words, when in (("before scaling", "before"), ("after", "after")):
        rows = calibration[f"reliability_{when}"]
        bins[words] = Line([row["confidence"] for row in rows], [row["frequency"] for row in rows])
        counts[words] = [row["count"] for row in rows]
    return reliability_chart(bins, counts)


def confusion(evidence: Evidence) -> dict[str, Any]:
    """Return a multi-class confusion as the page shows it: names, rows of cells, worst pairs.

    A cell's share is of its row: the probability that an example of the true class is
    recognised as the column's (S3); 0 where there is no such example. There are no rows for
    more than ``MOST_CONFUSION_CLASSES`` classes.
    """
    names = evidence.scores.task.classes
    counts_KK = np.array(evidence.evaluation.metrics["confusion_matrix"], dtype=np.int64)
    share_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)

    def cell(true: int, recognised: int) -> dict[str, Any]:
        share = float(share_KK[true, recognised])
        return {
            "true": names[true],
            "recognised": names[recognised],
            "count": int(counts_KK[true, recognised]),
            "share": share,
            "look": _look(true == recognised, share),
        }

    columns = range(len(names))
    drawn = columns if len(names) <= MOST_CONFUSION_CLASSES else ()
    wrong_KK = counts_KK * ~np.eye(len(names), dtype=bool)
    worst = np.argsort(-wrong_KK, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [cell(*divmod(int(place), len(names))) for place in worst if wrong_KK.flat[place]]
    rows = [
        {"name": names[k], "count": int(counts_KK[k].sum()), "cells": [cell(k, m) for m in columns]}
        for k in drawn
    ]
    return {"names": names, "rows": rows, "pairs": pairs}


def pooled_curves(evidence: Evidence) -> pl.DataFrame:
    """Return the curves of all cells as one class; none where they are too many to sort."""
    scores = evidence.scores.labelled()
    probabilities_NK = evidence.decision.probabilities(scores.task, scores.logits_NK)
    known_NK = ~np.isnan(scores.targets_NK)
    if known_NK.size > MOST_POOLED_CELLS:
        return evidence.evaluation.curves.clear()
    return curve_table(
        probabilities_NK[known_NK][:, None], scores.targets_NK[known_NK][:, None], ["micro average"]
    )


def line_of(rows: pl.DataFrame) -> Line:
    """Return the points of a curve's rows."""
    return Line(rows["x"].to_list(), rows["y"].to_list())


def _ranking_chart(
    evidence: Evidence,
    kind: str,
    pooled: pl.DataFrame,
    *,
    title: str,
    axis_labels: tuple[str, str],
) -> Chart:
    of_kind = pl.col("kind") == kind
    table, pooled = evidence.evaluation.curves.filter(of_kind), pooled.filter(of_kind)
    drawn = {
        k: line_of(table.filter(pl.col("class") == name))
        for k, name in enumerate(evidence.scores.task.classes[:MOST_CLASS_CURVES])
    }
    averages = {
        "macro average": line_of(table.filter(pl.col("class").is_null())),
        "micro average": line_of(pooled.filter(pl.col("class").is_not_null())),
    }
    num_classes = evidence.scores.task.num_classes
    is_cut = num_classes > MOST_CLASS_CURVES
    return curves_chart(
        kind.replace("_", "-"), {k: line for k, line in drawn.items() if line.x},
        {words: line for words, line in averages.items() if line.x},
        title=title, axis_labels=axis_labels, is_roc=kind == "roc",
        note=f"The first {MOST_CLASS_CURVES} of {num_classes} classes." if is_cut else "",
    )  # fmt: skip


def _look(is_right: bool, share: float) -> str:
    strength = "strong" if share > 0.55 else "none" if share == 0 else ""
    return f"right {strength}".strip() if is_right else strength


def _highest(
    words: str, thresholds: Sequence[float], values: Sequence[float]
) -> tuple[str, float, float]:
    best = int(np.nanargmax(values))
    return words, thresholds[best], values[best]
