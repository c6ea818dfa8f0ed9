"""The record: what a run's files say, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from finelens.config.load import read_yaml
from finelens.data.manifest import SPLITS
from finelens.decision import Decision
from finelens.errors import RunError, did_you_mean, typed
from finelens.evaluation.evaluate import main_metric
from finelens.evaluation.refresh import is_current
from finelens.reporting.history import History, read_history
from finelens.runs.directory import RunDirectory, read_json
from finelens.runs.log import read_log
from finelens.task import Task, TaskKind

METRIC_WORDS = {
    "mean_average_precision": "mean AP",
    "mean_average_precision_11pt": "mean AP, 11-point",
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "example.precision": "example precision",
    "example.recall": "example recall",
    "example.f1": "example F1",
    "macro.precision": "macro precision",
    "macro.recall": "macro recall",
    "macro.f1": "macro F1",
    "micro.precision": "micro precision",
    "micro.recall": "micro recall",
    "micro.f1": "micro F1",
    "roc_auc": "ROC-AUC",
}
"""Metrics of ``metrics.json`` in reading order; a dot goes into a mapping."""

_LOGGED_WORDS = {name.replace(".", "_"): words for name, words in METRIC_WORDS.items()}


@dataclass(frozen=True)
class RunRecord:
    """A run's facts.

    Attributes:
        run: Its folder.
        recipe: The resolved recipe.
        environment: Versions, device, command.
        summary: Probe, best epochs, times; empty where training has not written it.
        model: The model card, ``model/model.json``.
        preprocessing: ``model/preprocessing.json``.
        task: Classes and kind.
        decision: Temperature and thresholds.
        history: The metrics log.
        metrics: ``metrics.json`` of every split asked for, the first is the one shown.
        counts: Training pictures per class and pictures per split, where the run holds its
            manifest.
    """

    run: RunDirectory
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    summary: Mapping[str, Any]
    model: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    task: Task
    decision: Decision
    history: History
    metrics: Mapping[str, Mapping[str, Any]]
    counts: ManifestCounts | None

    @property
    def noun(self) -> str:
        """Return what the run's examples are: ``picture`` or ``clip``."""
        return "picture" if self.preprocessing.get("frames") is None else "clip"

    @property
    def main_metric(self) -> str:
        """Return the name of the metric that a run of this task is judged by."""
        return main_metric(self.task)

    @property
    def followed_metric(self) -> str:
        """Return the metric in the log that chose the weights: the first of ``best_by``."""
        return next(iter(self.summary.get("best") or {}), self.main_metric)

    @property
    def kept_epoch(self) -> int | None:
        """Return the epoch whose weights became the model, 0 for the probe; None is unknown."""
        best = self.summary.get("best") or {}
        # the first of the followed metrics chooses
        return next(iter(best.values()), {}).get("epoch")

    @property
    def shown_split(self) -> str:
        """Return the split whose pictures and curves are shown."""
        return next(iter(self.metrics))


def calibrates(record: RunRecord) -> bool:
    """Return whether a run's recipe had a temperature chosen."""
    return (record.recipe.get("decide") or {}).get("calibrate", True)


def augments(record: RunRecord) -> bool:
    """Return whether any phase of a run's recipe trained on augmented views."""
    phases = record.recipe.get("phases") or [{}]
    return any((phase or {}).get("augment", "standard") not in ("none", []) for phase in phases)


@dataclass(frozen=True)
class ManifestCounts:
    """Numbers of pictures: by split, and of training pictures by class."""

    by_split: Mapping[str, int]
    train_by_class: Mapping[str, int]


def read_record(run: RunDirectory, *, splits: Sequence[str] | None = None) -> RunRecord:
    """Return what a run's files say.

    Args:
        run: A complete run.
        splits: The evaluated splits to read, the one to show first; None: all, test first.

    Raises:
        ConfigError: If the recipe is broken.
        RunError: If another file is missing or broken, or a split has not been evaluated.
    """
    known = run.evaluated_splits
    chosen = known if splits is None else list(splits)
    for split in chosen:
        if split not in known:
            raise RunError(
                f'run {run.root}: split "{split}" has not been evaluated'
                f"{did_you_mean(split, known)}; "
                f"`finelens evaluate {typed(run.root)} --split {split}`"
            )
    if not chosen:
        raise RunError(
            f"run {run.root}: no split has been evaluated; `finelens evaluate {typed(run.root)}`"
        )
    decision = read_decision(run)
    return RunRecord(
        run=run,
        recipe=read_yaml(run.recipe),
        environment=read_json(run.environment),
        summary=read_json(run.summary) if run.summary.is_file() else {},
        model=read_json(run.model / "model.json"),
        preprocessing=read_json(run.model / "preprocessing.json"),
        task=read_task(run),
        decision=decision,
        history=read_history(read_log(run.metrics_log)),
        metrics={split: _read_metrics(run, split, decision) for split in chosen},
        counts=_count(run),
    )


def read_task(run: RunDirectory) -> Task:
    """Return a run's task.

    Raises:
        RunError: If its ``classes.json`` is missing or broken.
    """
    path = run.model / "classes.json"
    content = read_json(path)
    try:
        return Task(TaskKind(content["task"]), tuple(content["classes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} does not hold a task and its classes: {error}") from error


def read_decision(run: RunDirectory) -> Decision:
    """Return a run's decision.

    Raises:
        RunError: If its ``decision.json`` is missing or broken.
    """
    path = run.model / "decision.json"
    content = read_json(path)
    try:
        return Decision.from_json(content)
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} does not hold a decision: {error}") from error


def logged_words(name: str) -> str:
    """Return the words of a metric as the log names it, ``example_f1`` for ``example.f1``."""
    return _LOGGED_WORDS.get(name, name.replace("_", " "))


def metric_of(metrics: Mapping[str, Any], name: str) -> float | None:
    """Return a number of ``metrics.json`` by its dotted name, or None where it is null."""
    value: Any = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def interval_of(metrics: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Return a metric's 95 % interval, or None where it has none."""
    interval = (metrics.get("intervals") or {}).get(name.replace(".", "_"))
    if interval is None or None in interval:
        return None
    low, high = interval
    return float(low), float(high)


def widest_interval(
    metrics: Mapping[str, Any], name: str
) -> tuple[tuple[float, float] | None, bool]:
    """Return a metric's 95 % interval, and whether it is drawn by whole groups.

    Examples of one group are alike, and intervals drawn by examples then too narrow; of very few
    groups those drawn by groups are. So the wider of the two is the one to believe.
    """
    ordinary, by_group = (interval_of(of, name) for of in (metrics, metrics.get("groups") or {}))
    if ordinary is None or by_group is None:
        return ordinary or by_group, ordinary is None and by_group is not None
    is_by_group = by_group[1] - by_group[0] > ordinary[1] - ordinary[0]
    return (by_group if is_by_group else ordinary), is_by_group


def count_groups(metrics: Mapping[str, Any]) -> int | None:
    """Return the groups of a split, examples without one counted singly; None where none share."""
    groups = metrics.get("groups")
    return groups["num_groups"] + groups["num_without_group"] if groups else None


def _read_metrics(run: RunDirectory, split: str, decision: Decision) -> Mapping[str, Any]:
    path = run.evaluation(split) / "metrics.json"
    metrics = read_json(path)
    if not is_current(metrics, decision):
        raise RunError(
            f"{path} was computed with another decision than the model's; "
            f"`finelens evaluate {typed(run.root)}` brings all up to it"
        )
    return metrics


def _count(run: RunDirectory) -> ManifestCounts | None:
    if not run.manifest.is_file():
        return None
    try:
        table = pl.read_parquet(run.manifest, columns=["split", "labels"])
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{run.manifest} cannot be read ({reason}); put it back") from error
    by_split = table.drop_nulls("split").group_by("split", maintain_order=True).len()
    train = table.filter(pl.col("split") == "train").select(pl.col("labels").explode())
    by_class = train.drop_nulls().group_by("labels").len()
    sizes = dict(by_split.iter_rows())
    in_order = {split: sizes[split] for split in SPLITS if split in sizes}
    return ManifestCounts(in_order, dict(by_class.iter_rows()))
