"""The training log: what was measured over epochs as one table, a run's or a foreign one's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from finelens.errors import RunError
from finelens.reporting.history import History, read_history
from finelens.runs.directory import RunDirectory, read_json
from finelens.runs.log import PROBE_PHASE, read_log
from finelens.runs.text_log import read_text_log
from finelens.task import TaskKind

_SPLIT_ORDER = ("train", "val", "test")
_BASELINE_EPOCH = 0
_MULTI_LABEL_METRICS = ("example_f1", "mean_average_precision")


@dataclass(frozen=True)
class TrainingLog:
    """A training's figures.

    Attributes:
        name: Of the run or the file.
        history: What was measured.
        metrics: The figures that such a training is judged by beside its loss.
        baseline: What was measured before the first epoch.
    """

    name: str
    history: History
    metrics: tuple[str, ...] = ("accuracy",)
    baseline: str = PROBE_PHASE

    @property
    def splits(self) -> list[str]:
        """Return the splits that were measured: train, val and test first."""
        measured = dict.fromkeys(split for split, _ in self.history.series)
        if self.history.probe:
            measured["val"] = None
        known = [split for split in _SPLIT_ORDER if split in measured]
        return known + [split for split in measured if split not in known]

    def table(self) -> pl.DataFrame:
        """Return one row an epoch; what was measured before the first (the probe) is epoch 0.

        Columns: epoch, phase, then ``<split>_<name>`` for everything measured: the loss, the
        main figures, the rest. Null is not measured, or NaN.
        """
        return self._table(self._names())

    def headline(self) -> pl.DataFrame:
        """Return the table's loss and main figures alone."""
        return self._table(["loss", *self.metrics])

    def _names(self) -> list[str]:
        measured = [name for split in self.splits for name in self.history.names(split)]
        return list(dict.fromkeys(["loss", *self.metrics, *measured, *self.history.probe]))

    def _table(self, names: list[str]) -> pl.DataFrame:
        history = self.history
        epochs = ([_BASELINE_EPOCH] if history.probe else []) + list(history.epochs)
        phases = [history.phase_of(epoch) if epoch else self.baseline for epoch in epochs]
        columns = {
            f"{split}_{name}": pl.Series(self._values(split, name, epochs), dtype=pl.Float64)
            for name in names
            for split in self.splits
        }
        measured = {name: one for name, one in columns.items() if one.null_count() < len(one)}
        return pl.DataFrame({"epoch": epochs, "phase": phases} | measured)

    def _values(self, split: str, name: str, epochs: list[int]) -> list[float | None]:
        series = self.history.of(split, name)
        by_epoch = dict(zip(series.epochs, series.values, strict=True))
        if split == "val" and name in self.history.probe:
            by_epoch[_BASELINE_EPOCH] = self.history.probe[name]
        return [by_epoch.get(epoch) for epoch in epochs]


def read_run_log(run: RunDirectory) -> TrainingLog:
    """Return the log of a run, ended or still running.

    Raises:
        RunError: If nothing has been measured yet, or a file of the run is missing or broken.
    """
    history = read_history(read_log(run.metrics_log)) if run.metrics_log.is_file() else None
    if history is None or not (history.epochs or history.probe):
        raise RunError(f"run {run.root} has measured nothing yet; look again after its first epoch")
    is_multi_label = read_json(run.environment).get("task") == TaskKind.MULTI_LABEL
    metrics = _MULTI_LABEL_METRICS if is_multi_label else ("accuracy",)
    return TrainingLog(run.root.resolve().name, history, metrics)


def read_foreign_log(path: Path, pattern: str | None = None) -> TrainingLog:
    """Return the log that another program printed; see ``runs.text_log.read_text_log``.

    Raises:
        ConfigError: If the pattern cannot be used.
        RunError: If the file cannot be read, or says no loss and no accuracy that is a number.
    """
    history = read_history(read_text_log(path, pattern))
    if not history.series:
        raise RunError(f"{path}: every loss and accuracy of it is NaN or infinite")
    return TrainingLog(path.name, history, baseline="start")
