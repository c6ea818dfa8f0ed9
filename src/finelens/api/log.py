"""The verb that tells a training's course: log."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
from PIL import Image, UnidentifiedImageError

from finelens.errors import ConfigError, RunError
from finelens.replacing import replacing
from finelens.reporting.log_figure import PICTURE_KINDS, SOFTWARE, draw_log
from finelens.reporting.training_log import TrainingLog, read_foreign_log, read_run_log
from finelens.runs.directory import RunDirectory, open_run


def log(
    source: str | Path, pattern: str | None = None, *, out: str | Path | None = None
) -> pl.DataFrame:
    r"""Return what was measured over the epochs of a training, one row an epoch.

    Columns: epoch, phase, ``train_loss``, ``val_loss`` and so on; an array is
    ``table["val_loss"].to_numpy()``. Null is not measured, or NaN. The probe is epoch 0.

    Args:
        source: A run's folder, ended or running, or a text log of another program.
        pattern: How such a log says its figures: a regular expression with a group named
            ``loss`` or ``accuracy`` and, optionally, ``epoch`` and ``split``. None reads lines
            such as ``Loss: 0.1234 Acc: 0.9876``.
        out: Where a picture of loss and accuracy goes: .png, .svg or .pdf; None: nowhere.

    Raises:
        ConfigError: If the pattern or the picture's path cannot be used.
        RunError: If the source is missing, or nothing was measured.
    """
    told = read_training_log(source, pattern)
    if out is not None:
        draw_training_log(told, Path(out))
    return told.table()


def read_training_log(source: str | Path, pattern: str | None = None) -> TrainingLog:
    """Return the training log of a run's folder or of a text log, as ``log`` does."""
    path = Path(source)
    run = _run_of(path)
    if run is None:
        if not path.exists():
            raise RunError(f"{path} does not exist; name a run's folder or a text log")
        return read_foreign_log(path, pattern)
    if pattern is not None:
        raise ConfigError(f"--pattern is for a text log, and {path} is a run; leave it out")
    return read_run_log(open_run(run.root, complete=False))


def draw_training_log(told: TrainingLog, path: Path) -> None:
    """Write the picture of a training log, whole or not at all.

    Raises:
        ConfigError: If nothing can be written there.
        RunError: If no epoch has been measured.
    """
    check_picture(path)
    if not told.history.series:
        raise RunError(f"{told.name}: no epoch has been measured yet, so there is no picture")
    try:
        with replacing(path) as temporary:
            draw_log(told, temporary)
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written: {error.strerror}") from error


def default_picture(source: str | Path) -> Path:
    """Return where a picture goes unasked: into the run, or by a text log's name into this folder.

    Raises:
        ConfigError: If a file lies there that finelens did not draw.
    """
    run = _run_of(Path(source))
    if run is not None:
        return run.log_picture
    path = Path(f"{Path(source).stem}.png")
    if path.exists() and not _is_own(path):
        raise ConfigError(
            f"{path} lies here already, and finelens did not draw it; name the picture with --out"
        )
    return path


def check_picture(path: Path) -> None:
    """Raise where no picture can be written to a path.

    Raises:
        ConfigError: If its kind is unknown, or its folder is missing or closed to writing.
    """
    if path.suffix not in PICTURE_KINDS:
        known = ", ".join(PICTURE_KINDS)
        raise ConfigError(f'--out {path}: a picture ends in one of {known}, not "{path.suffix}"')
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"--out {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"--out {path}: no file can be written there; choose another with --out")


def _run_of(path: Path) -> RunDirectory | None:
    """Return the run that a path names: any folder, or a run's own metrics log."""
    if path.is_dir():
        return RunDirectory(path)
    run = RunDirectory(path.parent)
    return run if path == run.metrics_log and run.recipe.is_file() else None


def _is_own(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == SOFTWARE
    except (OSError, UnidentifiedImageError):
        return False
