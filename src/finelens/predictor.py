"""The predictor: pictures in, classes and probabilities out, from a model folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.example import Span, read_example
from finelens.data.inputs import find_clips, find_pictures
from finelens.data.loader import Loader
from finelens.data.manifest import Manifest
from finelens.data.workers import resolve_workers
from finelens.evaluation.explanation import Explanation, explain
from finelens.evaluation.inference import score
from finelens.evaluation.passes import PASS_SIZE, Passes
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.scores import Scores
from finelens.models.folder import SavedModel, load_model
from finelens.models.memory_format import to_channels_last
from finelens.models.precision import Precision, WantedPrecision, resolve_precision
from finelens.models.spatial_layer import SpatialLayer, find_spatial_layer
from finelens.progress import Progress, Silent

_READ_TOGETHER = 64
"""Pictures, or frames of clips, that are read together unless more are computed together."""


@dataclass(frozen=True)
class Predictor:
    """A trained model with its preprocessing and its decision.

    What it says of a picture depends on no other picture, and on a CPU on no number of cores, to
    the last bit: see ``evaluation.passes``.

    Attributes:
        saved: What the model folder held.
        device: Where the network runs.
        precision: What it computes in there.
    """

    saved: SavedModel
    device: torch.device
    precision: Precision

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str | None = None,
        precision: WantedPrecision | None = None,
    ) -> Predictor:
        """Return the predictor of a run's ``model`` folder; nothing is downloaded.

        Args:
            folder: Holds ``weights.safetensors``, ``model.json`` and their companions.
            device: A torch device; None takes CUDA where there is one.
            precision: None takes that of the training, for which the thresholds were chosen.

        Raises:
            ModelError: If the folder is missing, foreign or corrupted.
        """
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        saved = load_model(Path(folder))
        to_channels_last(saved.classifier.to(device=chosen)).eval()
        wanted = precision or saved.precision
        return cls(saved, chosen, resolve_precision(wanted, chosen, saved.classifier))

    def predict(
        self,
        paths: Sequence[str | Path] | str | Path,
        *,
        batch_size: int | None = None,
        num_workers: int | None = None,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Return one row for every picture, in the order given.

        Columns: ``path``, ``labels`` (the classes decided on; null for an unreadable picture),
        ``error`` (why it is unreadable, else null), of clips ``note`` (what a person should know
        of the file, such as that it is cut off), then ``probability.<class>`` for each class:
        calibrated, in [0, 1]. ``evaluation.decisions.decisions_array`` makes the N x K
        array of 0 and 1 of it.

        Memory that was freed stays with the process, for its next batches: see
        ``allocator.keep_freed_memory``.

        Args:
            paths: Files; a folder stands for the pictures in it and below, sorted. Of clips see
                ``find_clips``.
            batch_size: Pictures read together, and on a GPU those of a forward pass; None: what
                suits the machine. It changes no bit of what is found on a CPU.
            num_workers: Loader processes; None: as many as pay.
            progress: Who watches.

        Raises:
            DataError: If there is no picture to predict.
        """
        given = [paths] if isinstance(paths, str | Path) else paths
        is_clips = self.saved.preprocessing.frames is not None
        progress = progress or Silent()
        files = find_clips(given, say=progress.say) if is_clips else find_pictures(given)
        num_classes = self.saved.task.num_classes
        scores = self._score(
            files,
            files,
            np.full((len(files), num_classes), np.nan, dtype=np.float32),
            batch_size=batch_size,
            num_workers=num_workers,
            title="predicting",
            progress=progress,
        )
        return predictions_table(scores, self.saved.decision).drop("id")

    def score(
        self, manifest: Manifest, *, batch_size: int | None = None, progress: Progress | None = None
    ) -> Scores:
        """Return the scores of a manifest's pictures, unreadable ones with their error.

        Memory that was freed stays with the process, as after ``predict``.
        """
        return self._score(
            manifest.ids,
            manifest.paths,
            manifest.targets(),
            groups=manifest.groups,
            spans=manifest.spans,
            batch_size=batch_size,
            num_workers=None,
            title="scoring",
            progress=progress or Silent(),
        )

    @property
    def num_together(self) -> int:
        """Return how many pictures are computed at one time when there are enough."""
        return self._passes.num_together

    def logits(self, images_BCHW: Tensor) -> NDArray[np.float32]:
        """Return the logits of evaluation views, float32 (B, K): exactly those of ``predict``.

        Args:
            images_BCHW: uint8 (B, C, S, S), or (B, T, C, S, S) of clips, as the preprocessing
                makes them of pictures decoded at its ``least_side``; B is 1 or more.
        """
        return self._passes(images_BCHW)

    @cached_property
    def _passes(self) -> Passes:
        return self._passes_of(PASS_SIZE)

    def _passes_of(self, pass_size: int) -> Passes:
        passes = self._passes_by_size.get(pass_size)
        if passes is None:
            passes = self._passes_by_size[pass_size] = Passes(
                self.saved.classifier,
                self.saved.preprocessing,
                device=self.device,
                precision=self.precision,
                pass_size=pass_size,
            )
        return passes

    @cached_property
    def _passes_by_size(self) -> dict[int, Passes]:
        return {}

    def explain(
        self, path: str | Path, class_name: str | None = None, *, span: Span = (None, None)
    ) -> Explanation:
        """Return where the model looked in a picture or clip for a class.

        Args:
            path: A file, or a clip's place.
            class_name: None takes the class of the highest probability.
            span: Start and end of a clip in its video, seconds; None: the video's own.

        Raises:
            DataError: If it cannot be read, or there is no such class.
            ModelError: If no heat map can be drawn for the model's backbone.
        """
        preprocessing = self.saved.preprocessing
        pictures_THWC = read_example(
            str(path),
            span,
            frames=preprocessing.frames,
            stride=preprocessing.stride,
            start=preprocessing.start,
            least_side=preprocessing.least_side,
        )
        return self.explain_pictures(pictures_THWC, class_name)

    def explain_pictures(
        self, pictures_THWC: NDArray[np.uint8], class_name: str | None = None
    ) -> Explanation:
        """Return where the model looked in what was read already: see ``explain``.

        Args:
            pictures_THWC: A picture, T is 1, decoded at the preprocessing's ``least_side``, or a
                clip's frames, red first, 0 to 255.
            class_name: None takes the class of the highest probability.

        Raises:
            DataError: If there is no such class.
            ModelError: If no heat map can be drawn for the model's backbone.
        """
        return explain(
            self.saved, pictures_THWC, class_name, layer=self._spatial_layer, forward=self.logits
        )

    @cached_property
    def _spatial_layer(self) -> SpatialLayer:
        saved = self.saved
        return find_spatial_layer(saved.classifier.backbone, saved.preprocessing.size)

    def _score(
        self,
        ids: list[str],
        paths: list[str],
        targets_NK: np.ndarray,
        *,
        groups: Sequence[str | None] | None = None,
        spans: Sequence[Span] | None = None,
        batch_size: int | None,
        num_workers: int | None,
        title: str,
        progress: Progress,
    ) -> Scores:
        preprocessing = self.saved.preprocessing
        few = _READ_TOGETHER // (preprocessing.frames or 1)
        together = batch_size or max(self.num_together, few)
        is_cuda = self.device.type == "cuda"
        passes = self._passes
        if batch_size is not None and self.device.type != "cpu":
            passes = self._passes_of(batch_size)
        loader = Loader(
            PictureDataset(
                paths,
                targets_NK,
                Augmentation("none", preprocessing),
                spans=spans,
                on_error="row",
            ),
            batch_size=together,
            shuffle=False,
            seed=0,
            num_workers=resolve_workers(
                "auto" if num_workers is None else num_workers,
                len(paths),
                frames=preprocessing.frames,
                feeds_gpu=is_cuda,
            ),
            pin_memory=is_cuda,
        )
        with progress.stage(title, len(paths)) as advance:
            return score(
                self.saved.classifier,
                loader,
                passes,
                ids=ids,
                paths=paths,
                task=self.saved.task,
                groups=groups,
                spans=spans,
                is_clips=preprocessing.frames is not None,
                progress=lambda num_pictures: advance(num_pictures, ""),
            )
