"""The model folder: all that a predictor reads. It appears whole or not at all; no pickle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import safetensors
from pydantic import Field
from torch import Tensor

from finelens.config.schema import HeadConfig
from finelens.config.section import Section
from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.errors import FinelensError, ModelError
from finelens.models.backbone import one_line
from finelens.models.backbones import create_backbone
from finelens.models.build import build_head
from finelens.models.classifier import Classifier
from finelens.models.pooling import create_pooling
from finelens.models.precision import WantedPrecision
from finelens.models.weights import first_of, mismatches, read_safetensors, write_safetensors
from finelens.task import Task, TaskKind

FORMAT = 1
_WEIGHTS = "weights.safetensors"
_MODEL = "model.json"
_CLASSES = "classes.json"
_PREPROCESSING = "preprocessing.json"
DECISION = "decision.json"
_Part = TypeVar("_Part")


class _Description(Section):
    """The content of ``model.json``."""

    format: int
    backbone: str
    options: dict[str, Any]
    head: HeadConfig
    pooling: str
    pooling_settings: dict[str, Any] = Field(default_factory=dict)
    frames: int | None = None
    num_classes: int = Field(ge=1)
    precision: WantedPrecision = "fp32"
    card: dict[str, Any]


@dataclass
class SavedModel:
    """What a model folder holds.

    Attributes:
        classifier: The network.
        task: Class names in the order of its logits.
        preprocessing: How a picture becomes its input.
        decision: How its logits become yes or no.
        precision: What it computes in, so that its thresholds meet the scores they were chosen on.
        card: Anything worth knowing about it; plain JSON values.
    """

    classifier: Classifier
    task: Task
    preprocessing: Preprocessing
    decision: Decision
    precision: WantedPrecision = "auto"
    card: dict[str, Any] = field(default_factory=dict)


def save_model(folder: str | Path, saved: SavedModel) -> None:
    """Write a model folder; one that is there is replaced only when the new one is complete.

    A kill at any moment leaves the old or the new one, which ``load_model`` finds.

    Raises:
        ModelError: If something else than a model lies there, or it cannot be written (a full
            disk); what was there stays.
    """
    folder = Path(folder)
    if folder.exists() and not _is_replaceable(folder):
        raise ModelError(f"{folder} exists and is no model folder; choose another place")
    staging = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        _write_parts(staging, saved)
        _put_in_place(staging, folder)
    except (OSError, safetensors.SafetensorError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise ModelError(
            f"model folder {folder} cannot be written: {error}; free some space and try again"
        ) from error


def load_model(folder: str | Path) -> SavedModel:
    """Return a saved model, on the CPU and in evaluation mode. Nothing is downloaded.

    Raises:
        ModelError: If there is no model, a part is missing, foreign or corrupted, or the
            parts do not belong together; the part and the mend are named.
    """
    folder = Path(folder)
    if not folder.exists() and _replaced(folder).is_dir():
        folder = _replaced(folder)
    if not (folder / _MODEL).is_file():
        raise ModelError(f"{folder} is no model folder: it holds no {_MODEL}; name a run's model/")
    preprocessing = _read_part(folder, _PREPROCESSING, Preprocessing.from_json)
    # a network's own size may be far larger than what it was trained on: a pass takes seconds
    build = partial(_to_classifier, size=preprocessing.size)
    classifier, described = _read_part(folder, _MODEL, build)
    saved = SavedModel(
        classifier,
        read_task(folder),
        preprocessing,
        read_decision(folder),
        precision=described.precision,
        card=described.card,
    )
    _check_together(folder, saved)
    _load_weights(classifier, folder / _WEIGHTS)
    classifier.eval()
    return saved


def read_task(folder: Path) -> Task:
    """Return the task of a model folder.

    Raises:
        ModelError: As ``load_model``.
    """
    return _read_part(folder, _CLASSES, _to_task)


def read_decision(folder: Path) -> Decision:
    """Return the decision of a model folder.

    Raises:
        ModelError: As ``load_model``.
    """
    return _read_part(folder, DECISION, Decision.from_json)


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / _MODEL).is_file() or not any(folder.iterdir()))


def _replaced(folder: Path) -> Path:
    """Return where the old folder lies for the moment in which the new one takes its place."""
    return folder.with_name(f".{folder.name}.old")


def _write_parts(folder: Path, saved: SavedModel) -> None:
    classifier = saved.classifier
    pooling = dict(classifier.pooling.settings)
    contents = {
        _CLASSES: {"task": saved.task.kind.value, "classes": list(saved.task.classes)},
        _PREPROCESSING: saved.preprocessing.to_json(),
        DECISION: saved.decision.to_json(),
        _MODEL: {
            "format": FORMAT,
            "backbone": classifier.backbone.name,
            "options": classifier.backbone.options,
            "head": classifier.head.settings,
            "pooling": pooling.pop("kind"),
            "pooling_settings": pooling,
            "frames": classifier.backbone.input_spec.frames,
            "num_classes": classifier.num_classes,
            "precision": saved.precision,
            "card": saved.card,
        },
    }
    for name, content in contents.items():
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    write_safetensors(folder / _WEIGHTS, _tensors(classifier))
    for path in (*folder.iterdir(), folder):
        _flush(path)


def _tensors(classifier: Classifier) -> dict[str, Tensor]:
    # safetensors takes neither the channels-last format nor two names for one memory
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, value in classifier.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        tensors[key] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return tensors


def _put_in_place(staging: Path, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(_replaced(folder), ignore_errors=True)
        folder.rename(_replaced(folder))
    staging.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(_replaced(folder), ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_part(folder: Path, name: str, convert: Callable[[dict[str, Any]], _Part]) -> _Part:
    path = folder / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it is no JSON object")
        return convert(content)
    except OSError as error:
        raise ModelError(
            f"model folder: {path} cannot be read: {error.strerror}; copy the whole folder again"
        ) from error
    except KeyError as error:
        raise ModelError(_damaged(path, f"it has no {error}")) from error
    except (TypeError, ValueError, RuntimeError, FinelensError) as error:
        raise ModelError(_damaged(path, one_line(error))) from error


def _damaged(path: Path, reason: str) -> str:
    return f"model folder: {path} is damaged or foreign: {reason}; copy the whole folder again"


def _to_classifier(content: dict[str, Any], *, size: int) -> tuple[Classifier, _Description]:
    if content["format"] != FORMAT:
        raise ModelError(f"its format is {content['format']}, not {FORMAT}: use its finelens")
    described = _Description.model_validate(content)
    backbone = create_backbone(
        described.backbone, options=described.options, size=size, frames=described.frames
    )
    pooling = create_pooling(described.pooling, backbone.num_features, **described.pooling_settings)
    head = build_head(described.head, pooling.num_features, described.num_classes)
    return Classifier(backbone, head, pooling=pooling), described


def _to_task(content: dict[str, Any]) -> Task:
    return Task(TaskKind(content["task"]), tuple(str(name) for name in content["classes"]))


def _check_together(folder: Path, saved: SavedModel) -> None:
    num_classes = saved.classifier.num_classes
    if saved.task.num_classes != num_classes:
        reason = f"it names {saved.task.num_classes} classes, and the network has {num_classes}"
        raise ModelError(_damaged(folder / _CLASSES, reason))
    thresholds = saved.decision.thresholds
    if thresholds is not None and len(thresholds) != num_classes:
        reason = f"it has {len(thresholds)} thresholds for {num_classes} classes"
        raise ModelError(_damaged(folder / DECISION, reason))
    frames = saved.classifier.frames
    if frames not in {None, saved.preprocessing.frames}:
        reason = f"it has {saved.preprocessing.frames} frames, and the network takes {frames}"
        raise ModelError(_damaged(folder / _PREPROCESSING, reason))


def _load_weights(classifier: Classifier, path: Path) -> None:
    weights = read_safetensors(path)
    problems = mismatches(classifier, weights)
    if problems:
        raise ModelError(_damaged(path, first_of(problems)))
    classifier.load_state_dict(weights)
