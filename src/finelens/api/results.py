"""The verbs that read a run: load, predict and top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.api.run_data import own_manifest
from finelens.api.stored_scores import common_split, stored_scores
from finelens.errors import ConfigError, typed
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.ranking import top_table
from finelens.models.folder import read_decision, read_task
from finelens.models.precision import WantedPrecision
from finelens.predictor import Predictor
from finelens.progress import Progress
from finelens.runs.directory import open_run


def load(
    run: str | Path, *, device: str | None = None, precision: WantedPrecision | None = None
) -> Predictor:
    """Return the predictor of a run, or of a model folder copied out of one.

    ``device`` and ``precision`` as ``Predictor.load`` takes them.

    Raises:
        RunError: If the run is not complete.
        ModelError: If its model folder is foreign or corrupted.
    """
    folder = Path(run)
    if (folder / "model.json").is_file():
        return Predictor.load(folder, device=device, precision=precision)
    return Predictor.load(open_run(run).model, device=device, precision=precision)


def predict(
    run: str | Path,
    paths: Sequence[str | Path] | str | Path | None = None,
    *,
    split: str | None = None,
    batch_size: int | None = None,
    precision: WantedPrecision | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return what a run's model finds, one row a picture: see ``Predictor.predict``.

    Args:
        run: A complete run, or, with ``paths``, a model folder copied out of one.
        paths: Files, or folders of pictures or clips.
        split: In place of paths, a split of the run's own pictures: their rows come in its
            order, with their ``id`` first and their ``true_labels`` beside the labels.
        batch_size: Pictures read together, and on a GPU those of a forward pass; None: what
            suits the machine.
        precision: ``fp32``, ``bf16`` or ``auto``; None: that of the training, for which the
            thresholds were chosen.
        progress: Who watches.

    Raises:
        ConfigError: If not exactly one of ``paths`` and ``split`` is given.
        DataError: If there is no picture, or no such split.
    """
    if bool(paths) == (split is not None):
        raise ConfigError(
            "predict takes files or a split of the run's own; give one of the two, such as "
            f"`finelens predict {typed(run)} --split test`"
        )
    predictor = load(run, precision=precision)
    if split is None:
        return predictor.predict(paths or [], batch_size=batch_size, progress=progress)
    part = own_manifest(open_run(run), predictor.saved.task).of_split(split)
    scores = predictor.score(part, batch_size=batch_size, progress=progress)
    return predictions_table(scores, predictor.saved.decision, with_truth=True)


def top(
    run: str | Path, *, class_name: str | None = None, n: int = 50, split: str | None = None
) -> pl.DataFrame:
    """Return the n pictures with the highest score of a class, or of each class.

    Columns: class, rank, id, path, probability, is_positive. Read from the scores that
    training or ``evaluate`` wrote; the model is not run. A split of None takes test where it
    was evaluated, else val.

    Raises:
        DataError: If there is no such class.
        RunError: If the split has not been evaluated.
    """
    directory = open_run(run)
    task, decision = read_task(directory.model), read_decision(directory.model)
    scores = stored_scores(directory, split or common_split([directory]), task)
    table = top_table(scores, decision, n)
    if class_name is None:
        return table
    task.index(class_name)
    return table.filter(pl.col("class") == class_name)
