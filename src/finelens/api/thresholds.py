"""The verbs that look at other thresholds and save them: what_if and save_thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finelens.api.stored_scores import stored_scores
from finelens.data.manifest import SPLITS
from finelens.decision import Decision
from finelens.evaluation.refresh import refresh_evaluation
from finelens.evaluation.what_if import WhatIf
from finelens.models.decision_edit import edit_decision
from finelens.models.folder import read_decision, read_task
from finelens.reporting.report import write_report
from finelens.runs.directory import RunDirectory, open_run


def what_if(run: str | Path, *, split: str = "val") -> WhatIf:
    """Return a split's stored scores, ready to be judged by any thresholds.

    ``what_if(run).of_one("bird", 0.4).precision_K`` and so on; nothing is changed, the model is
    not run.

    Raises:
        DataError: If there is no such split, or it has no labels.
        RunError: If the run is not complete, or the split has not been evaluated.
    """
    directory = open_run(run)
    task = read_task(directory.model)
    return WhatIf(stored_scores(directory, split, task), read_decision(directory.model))


def save_thresholds(run: str | Path, thresholds: Mapping[str, float] | float) -> Decision:
    """Set thresholds of a run's model by hand, and return its new decision.

    The decision before it is kept beside it, in ``model/decision-0001.json`` and so on. From then
    on ``predict`` and all that loads the model decides by the new one; a ``Predictor`` loaded
    before keeps its own. The evaluations and the report are brought up to it from the stored
    scores. In multi-class the most probable class is said only where it reaches its threshold.

    Args:
        run: A complete run.
        thresholds: Class names and numbers in [0, 1]; one number sets all classes.

    Raises:
        ConfigError: If there is no threshold, or one is not in [0, 1].
        DataError: If there is no such class.
        RunError: If the run is not complete, or an evaluation is broken.
        ModelError: If the model folder is damaged or cannot be written.
    """
    directory = open_run(run)
    if not isinstance(thresholds, Mapping):
        thresholds = dict.fromkeys(read_task(directory.model).classes, thresholds)
    decision = edit_decision(directory.model, thresholds)
    refresh_evaluations(directory)
    if directory.evaluated_splits:
        write_report(directory)
    return decision


def refresh_evaluations(run: RunDirectory) -> None:
    """Bring all evaluations of a run up to its decision, from their stored scores.

    What a kill between an edit and its end has left undone is done.
    """
    task, decision = read_task(run.model), read_decision(run.model)
    for split in dict.fromkeys((*SPLITS, *run.evaluated_splits)):
        refresh_evaluation(run.evaluation(split), task, decision)
