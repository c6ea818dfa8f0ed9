"""The data of a finished run: the manifest it keeps of its own, and that of other data."""

from __future__ import annotations

from pathlib import Path

from finelens.config.load import read_run_recipe
from finelens.data.manifest import Manifest, read_manifest
from finelens.data.sources.read import read_source
from finelens.errors import DataError, RunError
from finelens.models.folder import SavedModel
from finelens.progress import Progress
from finelens.runs.directory import RunDirectory
from finelens.task import Task


def own_manifest(directory: RunDirectory, task: Task) -> Manifest:
    """Return the manifest that a run was trained on.

    Raises:
        RunError: If its file is missing or broken.
    """
    if not directory.manifest.is_file():
        raise RunError(
            f"run {directory.root} holds no {directory.manifest.name}; "
            "put it back, or name the files"
        )
    return read_manifest(directory.manifest, task=task.kind, classes=task.classes)


def other_manifest(
    directory: RunDirectory, saved: SavedModel, data: Path, progress: Progress | None
) -> Manifest:
    """Return the manifest of other data, read for a run's classes as its recipe reads labels.

    Raises:
        DataError: If they cannot be read, hold other classes, or clips where the run is of
            pictures.
    """
    task, is_clips = saved.task, saved.preprocessing.frames is not None
    recipe = read_run_recipe(directory.recipe)
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
    return manifest
