"""The evaluation: every figure, table and curve of one split, computed from its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from finelens.decision import Decision
from finelens.errors import DataError
from finelens.evaluation.curves import CURVE_SCHEMA, curve_table
from finelens.evaluation.groups import GROUP_SCHEMA, group_table, summarise_groups
from finelens.evaluation.other_data import KEY, OtherData
from finelens.evaluation.ranking import MISTAKE_SCHEMA, TOP_SCHEMA, top_table, worst_mistakes
from finelens.evaluation.scores import Scores, read_table, write_scores, write_table
from finelens.evaluation.summary import AVERAGES, headline, summarise
from finelens.runs.directory import read_json, write_json_atomic
from finelens.task import Task

TOP_PICTURES = 50


@dataclass(frozen=True)
class Evaluation:
    """What one split shows of a model.

    Attributes:
        split: Its name, or that of the evaluation of other data.
        metrics: The content of ``metrics.json``; NaN is None.
        curves: As ``curves.curve_table`` gives it.
        top: As ``ranking.top_table`` gives it, 50 pictures a class.
        mistakes: As ``ranking.worst_mistakes`` gives it.
        groups: As ``groups.group_table`` gives it; no rows where the data has no groups.
    """

    split: str
    metrics: dict[str, Any]
    curves: pl.DataFrame
    top: pl.DataFrame
    mistakes: pl.DataFrame
    groups: pl.DataFrame

    @property
    def sweep(self) -> pl.DataFrame:
        """Return the threshold sweep, 21 rows."""
        return pl.DataFrame(self.metrics["sweep"])


def main_metric(task: Task) -> str:
    """Return the name of the figure a task is first judged by."""
    return "mean_average_precision" if task.is_multi_label else "accuracy"


def fixed_decision(task: Task, threshold: float = 0.5) -> Decision:
    """Return the decision of one threshold for all classes, argmax in multi-class."""
    if not task.is_multi_label:
        return Decision()
    return Decision(thresholds=(threshold,) * task.num_classes, threshold=threshold, goal="fixed")


def quick_metric_names(task: Task) -> tuple[str, ...]:
    """Return the keys of ``quick_metrics``, from which a recipe may choose."""
    names = (*AVERAGES, "accuracy", "mean_average_precision")
    return names if task.is_multi_label else (*names, "top5_accuracy")


def quick_metrics(scores: Scores, decision: Decision | None = None) -> dict[str, float]:
    """Return the cheap figures that are logged after each epoch, fractions in [0, 1].

    Args:
        scores: What the model said of the split.
        decision: How yes is said; None takes 0.5 for every class, argmax in multi-class.

    Raises:
        DataError: If no readable picture has labels.
    """
    judged = _judged(scores, "scored")
    decision = decision or fixed_decision(judged.task)
    probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
    return headline(probabilities_NK, decision.decide(probabilities_NK), judged)


def evaluate(
    scores: Scores,
    decision: Decision,
    *,
    split: str,
    other_data: OtherData | None = None,
    seed: int = 0,
    resamples: int | None = None,
) -> Evaluation:
    """Return the evaluation of a split.

    Unreadable pictures and those without any known target are counted and left out of every
    figure; pictures known to hold no class stay in.

    Args:
        scores: What the model said of the split.
        decision: Temperature and thresholds, as chosen on validation.
        split: The split's name, or what the evaluation of other data is called.
        other_data: What the scores are of where it is no split of the run's own.
        seed: Of the bootstrap.
        resamples: Of the bootstrap; None takes as many as are affordable.

    Raises:
        DataError: If no readable picture has labels.
    """
    judged = _judged(scores, split)
    probabilities_NK = decision.probabilities(judged.task, judged.logits_NK)
    content = {
        "split": split,
        "task": str(judged.task.kind),
        "main_metric": main_metric(judged.task),
        **summarise(scores, decision, seed=seed, resamples=resamples),
        "groups": summarise_groups(scores, decision, seed=seed, resamples=resamples),
    }
    if other_data is not None:
        content[KEY] = other_data.to_json()
    return Evaluation(
        split=split,
        metrics=_without_nan(content),
        curves=curve_table(probabilities_NK, judged.targets_NK, judged.task.classes),
        top=top_table(scores, decision, TOP_PICTURES),
        mistakes=worst_mistakes(scores, decision),
        groups=group_table(scores, decision),
    )


def write_evaluation(
    folder: Path, evaluation: Evaluation, scores: Scores, decision: Decision
) -> None:
    """Write scores, top50, curves and mistakes (Parquet), and last metrics.json, to a folder.

    Also groups.parquet, where the data has groups.
    """
    write_scores(folder / "scores.parquet", scores, decision)
    write_table(folder / "top50.parquet", evaluation.top)
    write_table(folder / "curves.parquet", evaluation.curves)
    write_table(folder / "mistakes.parquet", evaluation.mistakes)
    if not evaluation.groups.is_empty():
        write_table(folder / "groups.parquet", evaluation.groups)
    else:
        # what other data of this split left
        (folder / "groups.parquet").unlink(missing_ok=True)
    write_json_atomic(folder / "metrics.json", evaluation.metrics)


def read_evaluation(folder: Path) -> Evaluation:
    """Return the evaluation that ``write_evaluation`` wrote.

    Raises:
        RunError: If a file is missing or broken.
    """
    content = read_json(folder / "metrics.json")
    groups = pl.DataFrame(schema=GROUP_SCHEMA)
    if content.get("groups"):
        groups = read_table(folder / "groups.parquet", tuple(GROUP_SCHEMA))
    return Evaluation(
        split=content["split"],
        metrics=content,
        curves=read_table(folder / "curves.parquet", tuple(CURVE_SCHEMA)),
        top=read_table(folder / "top50.parquet", tuple(TOP_SCHEMA)),
        mistakes=read_table(folder / "mistakes.parquet", tuple(MISTAKE_SCHEMA)),
        groups=groups,
    )


def _judged(scores: Scores, split: str) -> Scores:
    judged = scores.labelled()
    if judged.num_examples:
        return judged
    num_unlabelled = scores.readable().num_examples
    raise DataError(
        f'split "{split}" has no picture to judge by: {num_unlabelled} without labels, '
        f"{scores.num_examples - num_unlabelled} unreadable; use `finelens predict` for these"
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
