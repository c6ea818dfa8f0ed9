"""The stored scores of a run: what its model said of a split, read without running it."""

from __future__ import annotations

from collections.abc import Sequence

from finelens.data.manifest import SPLITS
from finelens.errors import DataError, RunError, did_you_mean, typed
from finelens.evaluation.scores import Scores, read_scores
from finelens.runs.directory import RunDirectory
from finelens.task import Task


def stored_scores(run: RunDirectory, split: str, task: Task) -> Scores:
    """Return the scores that training or ``evaluate`` wrote of a split, or of other data.

    Raises:
        DataError: If there is no such split or evaluation.
        RunError: If it has not been evaluated, or the file is broken.
    """
    known = dict.fromkeys((*SPLITS, *run.evaluated_splits))
    if split not in known:
        raise DataError(f'split "{split}" is unknown{did_you_mean(split, known)}')
    path = run.evaluation(split) / "scores.parquet"
    if not path.is_file():
        raise RunError(
            f"run {run.root}: {split} has not been evaluated; "
            f"`finelens evaluate {typed(run.root)} --split {split}`"
        )
    return read_scores(path, task)


def common_split(directories: Sequence[RunDirectory]) -> str:
    """Return the split that runs are looked at by default: test if all were evaluated on it."""
    return "test" if all("test" in run.evaluated_splits for run in directories) else "val"
