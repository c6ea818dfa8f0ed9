"""The run directory: the only place that knows the names of a run's files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finelens.errors import RunError, typed
from finelens.replacing import replacing


@dataclass(frozen=True)
class RunDirectory:
    """One run's folder; attributes are paths, whether or not something lies there yet."""

    root: Path

    @property
    def recipe(self) -> Path:
        """Return the resolved recipe's path, YAML."""
        return self.root / "recipe.yaml"

    @property
    def environment(self) -> Path:
        """Return the path of versions, device, command and manifest SHA-256, JSON."""
        return self.root / "environment.json"

    @property
    def manifest(self) -> Path:
        """Return the path of the manifest the run was trained on, Parquet."""
        return self.root / "manifest.parquet"

    @property
    def metrics_log(self) -> Path:
        """Return the path of what was measured while training, JSON Lines."""
        return self.root / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        """Return the path of the run's facts (probe, best epochs, times), JSON."""
        return self.root / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of resume states and best weights."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """Return the folder that holds all a predictor reads."""
        return self.root / "model"

    @property
    def report(self) -> Path:
        """Return the report's path, HTML."""
        return self.root / "report.html"

    @property
    def log_picture(self) -> Path:
        """Return the path of the picture of the metrics log, PNG."""
        return self.root / "log.png"

    @property
    def tensorboard(self) -> Path:
        """Return the folder of TensorBoard event files."""
        return self.root / "tensorboard"

    def evaluation(self, split: str) -> Path:
        """Return the folder of the scores and metrics of a split, or of other data by its name."""
        return self.root / "evaluation" / split

    @property
    def evaluated_splits(self) -> list[str]:
        """Return the splits that have metrics, test first, then the other data that have."""
        order = {"test": 0, "val": 1, "train": 2}
        found = [path.parent.name for path in self.root.glob("evaluation/*/metrics.json")]
        return sorted(found, key=lambda split: (order.get(split, 3), split))

    @property
    def is_complete(self) -> bool:
        """Return whether training ended and left a model."""
        return (self.model / "model.json").is_file()


def check_new_run(root: Path) -> None:
    """Raise where a new run would meet something that lies there already, or has no place.

    Raises:
        RunError: If ``root`` is a file, a folder that is not empty or cannot be read, or would
            lie where nothing can be written.
    """
    try:
        is_new = not root.exists() or (root.is_dir() and not any(root.iterdir()))
    except OSError as error:
        raise RunError(f"run folder {root} cannot be read: {error.strerror}") from error
    if not is_new:
        hint = "go on with --resume, or " if (root / "recipe.yaml").is_file() else ""
        raise RunError(f"run folder {root} exists already; {hint}choose another with --run")
    parent = next(place for place in root.absolute().parents if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(f"run folder {root}: {parent} cannot be written; choose another with --run")


def create_run(root: Path) -> RunDirectory:
    """Return a new, empty run directory.

    Raises:
        RunError: If something lies there already, or the folder cannot be made.
    """
    check_new_run(root)
    run = RunDirectory(root)
    try:
        run.checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"run folder {root} cannot be made: {error.strerror}") from error
    return run


def open_run(root: str | Path, *, complete: bool = True) -> RunDirectory:
    """Return an existing run directory.

    Args:
        root: The run's folder.
        complete: Whether it must hold a trained model.

    Raises:
        RunError: If it is no run, or is not complete though it must be.
    """
    run = RunDirectory(Path(root))
    if not run.root.is_dir():
        if run.root.exists():
            raise RunError(f"{root} is a file, not a run folder")
        raise RunError(f"run folder {root} does not exist; `finelens train` makes one")
    if not run.recipe.is_file():
        parent = RunDirectory(run.root.absolute().parent)
        hint = f"; did you mean {parent.root}?" if parent.recipe.is_file() else ""
        raise RunError(f"{root} is not a run folder: it holds no {run.recipe.name}{hint}")
    if complete and not run.is_complete:
        raise RunError(
            f"run {root} is incomplete: it has no model yet; "
            f"finish it with `finelens train --resume {typed(root)}`"
        )
    return run


def write_text_atomic(path: Path, text: str) -> None:
    """Write a file so that a reader, or a power cut, meets the old text or the new.

    Raises:
        OSError: If it cannot be written (a full disk); the old text stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json_atomic(path: Path, content: Any) -> None:
    """Write JSON as ``write_text_atomic`` does.

    Raises:
        ValueError: If it holds NaN or infinity, which JSON does not know.
    """
    write_text_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return a JSON file's content.

    Raises:
        RunError: If it is missing or broken.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON: {error}") from error
