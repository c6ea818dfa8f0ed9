"""A run's ROC curves and the areas below them, ready to be drawn beside another run's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from finelens.evaluation.roc import micro_roc_auc
from finelens.reporting.evidence import MOST_CLASS_CURVES, Evidence, line_of, pooled_curves
from finelens.reporting.figures import Line
from finelens.task import Task

_MOST_POINTS = 100


@dataclass(frozen=True)
class RunCurves:
    """A run's ROC curves.

    Attributes:
        by_class: Class numbers, by which the page finds a curve to bring out.
        macro: The mean over classes; no points where there is none.
        micro: All cells pooled; no points where there is none.
        micro_area: The area below ``micro``, in [0, 1], or None.
    """

    by_class: Mapping[int, Line]
    macro: Line
    micro: Line
    micro_area: float | None


def run_curves(evidence: Evidence, task: Task) -> RunCurves:
    """Return the ROC curves of an evaluated split.

    Args:
        evidence: The split's.
        task: The one that all runs of a picture share: single classes of another are not given.
    """
    roc = evidence.evaluation.curves.filter(pl.col("kind") == "roc")
    pooled = pooled_curves(evidence).filter(pl.col("kind") == "roc")
    micro = line_of(pooled.filter(pl.col("class").is_not_null()))
    classes = task.classes[:MOST_CLASS_CURVES] if evidence.scores.task == task else ()
    by_class = {
        k: _thinned(line_of(roc.filter(pl.col("class") == name))) for k, name in enumerate(classes)
    }
    return RunCurves(
        by_class={k: line for k, line in by_class.items() if line.x},
        macro=line_of(roc.filter(pl.col("class").is_null())),
        micro=micro,
        micro_area=_micro_area(evidence) if micro.x else None,
    )


def _micro_area(evidence: Evidence) -> float:
    scores = evidence.scores.labelled()
    probabilities_NK = evidence.decision.probabilities(scores.task, scores.logits_NK)
    return micro_roc_auc(probabilities_NK, scores.targets_NK)


def _thinned(line: Line) -> Line:
    """Return a curve of fewer points, ends kept: many runs share one picture."""
    if len(line.x) <= _MOST_POINTS:
        return line
    kept = np.linspace(0, len(line.x) - 1, _MOST_POINTS).round().astype(int)
    return Line([line.x[place] for place in kept], [line.y[place] for place in kept])
