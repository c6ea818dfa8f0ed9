"""The refresh: an evaluation made anew from its stored scores, after the decision has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from finelens.decision import Decision
from finelens.evaluation.decisions import write_decisions
from finelens.evaluation.evaluate import evaluate, write_evaluation
from finelens.evaluation.other_data import OtherData
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.scores import read_scores, write_scores
from finelens.runs.directory import read_json
from finelens.task import Task


def is_current(metrics: Mapping[str, Any], decision: Decision) -> bool:
    """Return whether a split's figures were computed with a decision.

    Who chose its thresholds and when does not matter.

    Args:
        metrics: The content of ``metrics.json``.
        decision: The model's.
    """
    content = {name: value for name, value in metrics["decision"].items() if name != "missed_goals"}
    try:
        made_with = Decision.from_json(content)
    except (TypeError, ValueError):
        return False
    return replace(made_with, edit=None) == replace(decision, edit=None)


def refresh_evaluation(folder: Path, task: Task, decision: Decision) -> None:
    """Bring what an evaluation's folder holds up to a decision; the model is not run.

    Figures that were computed with it stay as they are. Of a split without labels the
    decisions are written again. A folder without scores is left alone.

    Args:
        folder: As ``write_evaluation`` wrote it.
        task: The model's.
        decision: The model's.

    Raises:
        RunError: If a file is broken, or of a model of other classes.
    """
    path = folder / "scores.parquet"
    if not path.is_file():
        return
    if not (folder / "metrics.json").is_file():
        scores = read_scores(path, task)
        write_scores(path, scores, decision)
        write_decisions(folder / "decisions.npy", predictions_table(scores, decision))
        return
    metrics = read_json(folder / "metrics.json")
    if is_current(metrics, decision):
        return
    scores, bootstrap = read_scores(path, task), metrics["bootstrap"]
    evaluation = evaluate(
        scores,
        decision,
        split=metrics["split"],
        other_data=OtherData.of_metrics(metrics),
        seed=bootstrap["seed"],
        resamples=bootstrap["resamples"],
    )
    write_evaluation(folder, evaluation, scores, decision)
