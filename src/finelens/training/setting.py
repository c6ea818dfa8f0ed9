"""The setting: what stays the same from the first picture of a run to the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from finelens.allocator import keep_freed_memory
from finelens.config.schema import Recipe
from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.extent import median_shorter_side
from finelens.data.feature_dataset import FeatureDataset
from finelens.data.frame_cache import FrameCache, build_frame_cache
from finelens.data.loader import Loader
from finelens.data.manifest import Manifest
from finelens.data.preprocessing import Preprocessing
from finelens.data.workers import resolve_workers
from finelens.errors import ModelError, typed
from finelens.evaluation.inference import score, score_features
from finelens.evaluation.passes import Passes
from finelens.evaluation.scores import Scores
from finelens.models.backbone import Backbone
from finelens.models.build import build_classifier, build_preprocessing
from finelens.models.classifier import Classifier
from finelens.models.freeze import has_batch_norms
from finelens.models.memory_format import to_channels_last
from finelens.models.precision import Precision
from finelens.progress import Progress
from finelens.runs.directory import RunDirectory
from finelens.task import Task
from finelens.training.device import build_accelerator

_STEP = 32
"""Most convolutional backbones halve the picture five times."""


@dataclass(frozen=True)
class Setting:
    """A run's fixed surroundings.

    Attributes:
        run: Where everything is written.
        recipe: What was asked for.
        manifest: All readable pictures, with their splits.
        bad_files: Unreadable pictures that were left out, and why.
        classifier: The network, freshly built on its device.
        preprocessing: What the network sees when scoring.
        accelerator: Device, precision and processes.
        progress: Who watches.
    """

    run: RunDirectory
    recipe: Recipe
    manifest: Manifest
    bad_files: Mapping[str, str]
    classifier: Classifier
    preprocessing: Preprocessing
    accelerator: Accelerator
    progress: Progress

    def watched_by(self, progress: Progress) -> Setting:
        """Return the same setting with another progress."""
        return replace(self, progress=progress)

    @property
    def task(self) -> Task:
        """Return the task."""
        return self.manifest.task

    @property
    def precision(self) -> Precision:
        """Return ``bf16`` or ``fp32``: what training and scoring compute in."""
        return "fp32" if self.accelerator.mixed_precision == "no" else "bf16"

    @property
    def judged_threshold(self) -> float:
        """Return the probability from which yes is said while training."""
        threshold = self.recipe.decide.threshold
        return 0.5 if threshold is None else threshold

    def described(self) -> Iterator[str]:
        """Return lines that say what was chosen: data, network, training."""
        counts = ", ".join(f"{count} {split}" for split, count in self.manifest.splits.items())
        yield f"data: {counts}; {self.task.num_classes} classes, {self.task.kind}"
        frames = self.preprocessing.frames
        seen = f"{self.preprocessing.size} pixels"
        yield (
            f"model: {self.recipe.model.backbone} at "
            f"{seen if frames is None else f'{frames} frames of {seen}'}, "
            f"{self.classifier.num_parameters / 1e6:.1f} M parameters, "
            f"on {self.accelerator.device} in {self.precision}; "
            f"layers: finelens summary {typed(self.run.root)}"
        )
        epochs = self.recipe.num_epochs
        steps = ["probe"] * self.recipe.model.probe
        steps += [f"{epochs} {'epoch' if epochs == 1 else 'epochs'}"] * bool(epochs)
        yield f"training: {', then '.join(steps)}; recorded in {self.run.root}"
        model = self.recipe.model
        is_random = not model.pretrained and model.weights is None
        is_kept = any(phase.freeze_statistics for phase in self.recipe.phases)
        if is_random and is_kept and has_batch_norms(self.classifier):
            yield (
                "training: the weights are random, and batch norms cannot follow them: to train "
                "from scratch, --set phases.N.freeze_statistics=false for each phase N from 0, "
                "--set model.probe=false, and more epochs"
            )

    def loader(
        self,
        split: str,
        *,
        augmentation: Augmentation | None = None,
        num_views: int | None = None,
    ) -> Loader:
        """Return a loader of a split: for training under an augmentation, or as it is scored.

        Args:
            split: Its name.
            augmentation: Makes the views of training pictures, which are shuffled.
            num_views: As the loader's.
        """
        if augmentation is None:
            return self.view_loader(split, Augmentation("none", self.preprocessing))
        return self._loader(split, augmentation, trains=True, num_views=num_views)

    def view_loader(self, split: str, augmentation: Augmentation) -> Loader:
        """Return a loader of a split's views, in order, of batches that fill all cores."""
        return self._loader(split, augmentation, trains=False)

    def _loader(
        self, split: str, view: Augmentation, *, trains: bool, num_views: int | None = None
    ) -> Loader:
        part = self.manifest.of_split(split)
        train = self.recipe.train
        # pictures to be handed in have a row each, be they readable or not
        on_error = "raise" if part.has_labels else "row"
        return Loader(
            PictureDataset(
                part.paths,
                part.targets(),
                view,
                spans=part.spans,
                cache=self.cache,
                on_error=on_error,
            ),
            # of those that are scored, enough for all cores
            batch_size=train.batch_size
            if trains
            else max(train.batch_size, self.passes.num_together),
            shuffle=trains,
            seed=self.recipe.seed,
            num_workers=self.num_workers(split),
            num_views=num_views,
            batches_per_epoch=train.batches_per_epoch if trains else None,
            shard=self._shard if trains else (0, 1),
            # scoring computes a picture a core: no core waits for another that reads
            shares_cores=trains and self.accelerator.device.type == "cpu",
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def feature_loader(self, features_VNX: NDArray[np.float32]) -> Loader:
        """Return a loader for training of what a frozen backbone made of the training pictures."""
        targets_NK = self.manifest.of_split("train").targets()
        return Loader(
            FeatureDataset(features_VNX, targets_NK),
            batch_size=self.recipe.train.batch_size,
            shuffle=True,
            seed=self.recipe.seed,
            num_views=len(features_VNX),
            batches_per_epoch=self.recipe.train.batches_per_epoch,
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def num_workers(self, split: str) -> int:
        """Return how many loader processes read a split."""
        return resolve_workers(
            self.recipe.train.num_workers,
            self.manifest.of_split(split).num_examples,
            frames=self.preprocessing.frames,
            feeds_gpu=self.accelerator.device.type == "cuda",
        )

    @cached_property
    def cache(self) -> FrameCache | None:
        """Return what keeps decoded frames, if anything does."""
        is_clips = self.preprocessing.frames is not None
        return build_frame_cache(self.recipe.data, is_clips=is_clips)

    @property
    def _shard(self) -> tuple[int, int]:
        return self.accelerator.process_index, self.accelerator.num_processes

    def score(self, split: str) -> Scores:
        """Return the classifier's scores of a split, with a progress bar.

        On a CPU they are, to the last bit, those that the finished model gives on this machine. On
        a GPU its passes are wider or narrower than the ``train.batch_size`` that training has
        memory for, and the scores agree up to rounding.
        """
        part = self.manifest.of_split(split)
        try:
            with self.progress.stage(f"scoring {split}", part.num_examples) as advance:
                return score(
                    self.classifier,
                    self.loader(split),
                    self.passes,
                    ids=part.ids,
                    paths=part.paths,
                    task=self.task,
                    groups=part.groups,
                    spans=part.spans,
                    is_clips=self.preprocessing.frames is not None,
                    progress=lambda num_pictures: advance(num_pictures, ""),
                )
        finally:
            # training needs the memory
            self.passes.release()

    def score_features(self, split: str, features_NX: NDArray[np.float32]) -> Scores:
        """Return the scores of a split's pictures, whose ``backbone_features`` are known.

        On a CPU they are, to the last bit, those of ``score``. They tell no recordings nor spans.
        """
        part = self.manifest.of_split(split)
        return score_features(
            self.classifier,
            features_NX,
            self.passes.logits_of,
            ids=part.ids,
            paths=part.paths,
            targets_NK=part.targets(),
            task=self.task,
        )

    @cached_property
    def passes(self) -> Passes:
        """Return how the classifier's features and logits are computed."""
        return Passes(
            self.classifier,
            self.preprocessing,
            device=self.accelerator.device,
            precision=self.precision,
            pass_size=self.recipe.train.batch_size,
        )


def build_setting(
    recipe: Recipe,
    manifest: Manifest,
    run: RunDirectory,
    *,
    bad_files: Mapping[str, str],
    progress: Progress,
) -> Setting:
    """Return the setting of a run; nothing is written yet.

    Raises:
        ConfigError: If TensorBoard is asked for and not installed.
        ModelError: If the backbone or its weights cannot be had.
    """
    keep_freed_memory()
    torch.manual_seed(recipe.seed)
    size = recipe.input.size
    classifier = build_classifier(
        recipe.model,
        manifest.task.num_classes,
        size=size if isinstance(size, int) else None,
        frames=recipe.input.frames,
        auxiliary=recipe.loss.auxiliary_weight > 0,
        say=progress.say,
    )
    accelerator = build_accelerator(recipe.train, run, classifier)
    if size == "auto":
        paths = manifest.of_split("train").paths
        side = median_shorter_side(paths, frames=recipe.input.frames)
        size = fitting_size(classifier.backbone, side)
    # what auto came to is written down with the run
    recipe = recipe.model_copy(update={"input": recipe.input.model_copy(update={"size": size})})
    classifier.to(device=accelerator.device)
    if recipe.train.channels_last:
        to_channels_last(classifier)
    return Setting(
        run=run,
        recipe=recipe,
        manifest=manifest,
        bad_files=bad_files,
        classifier=classifier,
        preprocessing=build_preprocessing(recipe.input, classifier.backbone.input_spec),
        accelerator=accelerator,
        progress=progress,
    )


def fitting_size(backbone: Backbone, wanted: float) -> int:
    """Return a side near the wanted one that a backbone takes: a multiple of 32, not above its own.

    Its own size where it takes no other.
    """
    own = backbone.input_spec.size
    size = max(_STEP, round(wanted / _STEP) * _STEP)
    if size >= own:
        return own
    try:
        backbone.check_size(size)
    except ModelError:
        return own
    return size
