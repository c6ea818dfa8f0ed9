"""The verbs that read a run: load, predict, evaluate, top and compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.api.stored_scores import stored_scores
from finelens.api.thresholds import refresh_evaluations
from finelens.config.load import parse_recipe, read_yaml
from finelens.data.manifest import Manifest, read_manifest
from finelens.data.sources.read import read_source
from finelens.errors import ConfigError, DataError, RunError, typed
from finelens.evaluation.evaluate import Evaluation, write_evaluation
from finelens.evaluation.evaluate import evaluate as evaluate_scores
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.ranking import top_table
from finelens.models.folder import read_decision, read_task
from finelens.models.precision import WantedPrecision
from finelens.predictor import Predictor
from finelens.progress import Progress
from finelens.reporting.comparison import Comparison, compare_runs
from finelens.reporting.comparison_page import write_comparison
from finelens.reporting.report import write_report
from finelens.runs.directory import RunDirectory, open_run
from finelens.task import Task


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
            order, with their ``id`` first.
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
    part = _own_manifest(open_run(run), predictor.saved.task).of_split(split)
    scores = predictor.score(part, batch_size=batch_size, progress=progress)
    return predictions_table(scores, predictor.saved.decision)


def evaluate(
    run: str | Path,
    *,
    split: str | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a split, write ``evaluation/<split>/`` and the report; return the evaluation.

    Args:
        run: A complete run.
        split: ``train``, ``val`` or ``test``; None takes test where it has labels, else val.
        data: Other pictures than the run's own; with neither splits nor ``split`` given, all
            of them are scored, as test.
        progress: Who watches.

    Raises:
        DataError: If the split has no labelled picture, or the data's classes are not the
            run's.
    """
    directory = open_run(run)
    predictor = Predictor.load(directory.model)
    if data is None:
        manifest = _own_manifest(directory, predictor.saved.task)
    else:
        manifest = _other_manifest(directory, predictor, Path(data), progress)
    chosen = split or _judged_split(manifest, is_own=data is None)
    part = manifest.of_split(chosen)
    if not part.has_labels:
        pictures = f"--split {chosen}" if data is None else "PICTURES"
        raise DataError(
            f"the {part.num_examples} {part.media} of {chosen} have no labels to be held against; "
            f"use `finelens predict {typed(run)} {pictures} --decisions {chosen}.npy`"
        )
    scores = predictor.score(part, progress=progress)
    decision = predictor.saved.decision
    evaluation = evaluate_scores(scores, decision, split=chosen)
    write_evaluation(directory.evaluation(chosen), evaluation, scores, decision)
    refresh_evaluations(directory)
    write_report(directory)
    return evaluation


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
    scores = stored_scores(directory, split or _common_split([directory]), task)
    table = top_table(scores, decision, n)
    if class_name is None:
        return table
    task.index(class_name)
    return table.filter(pl.col("class") == class_name)


def compare(
    runs: Sequence[str | Path], *, split: str | None = None, out: str | Path | None = None
) -> Comparison:
    """Return runs side by side, tested against one another on the pictures they share.

    With ``out``, also write comparison.html, comparison.csv (the table) and pairs.csv (the
    tests).

    Args:
        runs: Complete runs.
        split: What they are compared on; None takes test if all were evaluated on it, else val.
        out: A folder.

    Raises:
        RunError: If a run is not complete, or fewer than one is given.
    """
    directories = [open_run(run) for run in runs]
    comparison = compare_runs(directories, split or _common_split(directories))
    if out is not None:
        write_comparison(Path(out), comparison)
    return comparison


def _judged_split(manifest: Manifest, *, is_own: bool) -> str:
    has_test = bool(manifest.splits.get("test"))
    # the labels of a run's own test list may be kept back, as A2D's are
    if has_test and is_own and not manifest.of_split("test").has_labels:
        return "val"
    return "test" if has_test else "val"


def _common_split(directories: Sequence[RunDirectory]) -> str:
    return "test" if all("test" in run.evaluated_splits for run in directories) else "val"


def _own_manifest(directory: RunDirectory, task: Task) -> Manifest:
    if not directory.manifest.is_file():
        raise RunError(
            f"run {directory.root} holds no {directory.manifest.name}; "
            "put it back, or name the files"
        )
    return read_manifest(directory.manifest, task=task.kind, classes=task.classes)


def _other_manifest(
    directory: RunDirectory, predictor: Predictor, data: Path, progress: Progress | None
) -> Manifest:
    task, is_clips = predictor.saved.task, predictor.saved.preprocessing.frames is not None
    recipe = parse_recipe(read_yaml(directory.recipe), origin=str(directory.recipe))
    manifest = read_source(
        data,
        task=task.kind,
        classes=task.classes,
        label_separator=recipe.data.label_separator,
        is_clips=is_clips,
        progress=progress,
    )
    if (manifest.media == "clips") != is_clips:
        raise DataError(
            f"{data} holds {manifest.media}, and run {directory.root} is of "
            f"{'clips' if is_clips else 'pictures'}; give such data"
        )
    if manifest.splits:
        return manifest
    return Manifest(manifest.table.with_columns(split=pl.lit("test")), manifest.task)
