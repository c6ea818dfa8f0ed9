"""The features: what the frozen backbone makes of views, kept on disk while the run needs them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.augment.augmentation import Augmentation
from finelens.data.file_content import digest
from finelens.data.loader import Loader
from finelens.errors import RunError, typed
from finelens.models.classifier import Classifier
from finelens.progress import Advance, spoken_duration
from finelens.runs.directory import write_text_atomic
from finelens.training.forecast import Pace
from finelens.training.profile import FORWARD, Profile
from finelens.training.resume import unwritable
from finelens.training.setting import Setting

_FLUSH_S = 60.0


class KeptFeatures:
    """Features of a run's views, computed once for as long as the backbone stays frozen.

    They lie in files beside the checkpoints: a run that was stopped finds them again.

    Args:
        setting: The run's.
        profile: Is told what each part took.
    """

    def __init__(self, setting: Setting, profile: Profile) -> None:
        self._setting = setting
        self._profile = profile

    def extract(
        self,
        split: str,
        augmentation: Augmentation | None = None,
        *,
        num_views: int = 1,
        for_probe: bool = False,
        pace: Pace,
        work: str,
    ) -> NDArray[np.float32]:
        """Return the ``backbone_features`` of every view of a split, (V, N, ...), a read-only map.

        Args:
            split: Its name.
            augmentation: Makes the views; None: they are those that are scored.
            num_views: V.
            for_probe: Whether they are pooled by whatever weights the pooling has: (V, N, P).
            pace: Tells what is left of the work that this is a part of.
            work: Its name.

        Raises:
            DataError: If a picture cannot be read any more.
            RunError: If the disk has no room for them.
        """
        setting = self._setting
        view = augmentation or Augmentation("none", setting.preprocessing)
        is_pooled = for_probe or not setting.classifier.pools_by_weights
        path = self._path(split, f"{view.steps} {view.preprocessing} {num_views} {is_pooled}")
        num_examples = setting.manifest.of_split(split).num_examples
        shape = (num_views, num_examples, *self._shape(is_pooled=is_pooled))
        title = f"features of {split}"
        with setting.progress.stage(title, num_views * num_examples) as advance:

            def advance_and_tell(num_done: int, note: str) -> None:
                left_s = pace.after(num_done)
                if left_s is not None:
                    setting.progress.say(f"{work}: about {spoken_duration(left_s)}")
                advance(num_done, note)

            try:
                return extract_features(
                    setting.classifier,
                    setting.view_loader(split, view),
                    setting.passes.features if is_pooled else setting.passes.backbone_features,
                    shape=shape,
                    path=path,
                    profile=self._profile,
                    advance=advance_and_tell,
                )
            finally:
                # training needs the memory
                setting.passes.release()

    def forget(self) -> None:
        """Delete all files of this process: the backbone is about to change."""
        for path in self._setting.run.checkpoints.glob(f"{self._prefix}*.npy"):
            forget_features(path)

    def forget_of_all(self) -> None:
        """Delete all files, those of processes that no longer run too: training is over."""
        if self._setting.accelerator.is_main_process:
            for path in self._setting.run.checkpoints.glob("features-*.npy"):
                forget_features(path)

    def _shape(self, *, is_pooled: bool) -> tuple[int, ...]:
        classifier = self._setting.classifier
        if is_pooled:
            return (classifier.num_features,)
        # a picture is a clip of one frame
        return (self._setting.preprocessing.frames or 1, classifier.backbone.num_features)

    @property
    def _prefix(self) -> str:
        # several processes each keep their own
        return f"features-{self._setting.accelerator.process_index}-"

    def _path(self, split: str, views: str) -> Path:
        return self._setting.run.checkpoints / f"{self._prefix}{split}-{digest(views)[:12]}.npy"


def extract_features(
    classifier: Classifier,
    loader: Loader,
    compute: Callable[[Tensor], NDArray[np.float32]],
    *,
    shape: tuple[int, ...],
    path: Path,
    profile: Profile,
    advance: Advance,
) -> NDArray[np.float32]:
    """Return the features of every view of every picture.

    They are written to ``path`` as they come: a pass that was killed goes on there and loses
    at most a minute.

    Args:
        classifier: Is put in evaluation mode.
        loader: Gives the pictures, not shuffled; its epochs 0 to V - 1 are the views.
        compute: Makes features of uint8 views.
        shape: (V, N, ...), whatever a view has.
        path: A ``.npy`` file; beside it lies one that says how many views are done.
        profile: Is told what each part took.
        advance: Called with the views done, those of a pass before included.

    Returns:
        A read-only map of the file.

    Raises:
        DataError: If a picture cannot be read any more.
        RunError: If the disk has no room for them.
    """
    count_path = path.with_suffix(".count")
    num_done = int(count_path.read_text()) if count_path.is_file() and path.is_file() else 0
    num_views, num_examples = shape[:2]
    features_VNX = _open(path, shape, is_new=num_done == 0)
    classifier.eval()
    flushed_at = time.monotonic()
    try:
        # another machine may read more at a time: a part of a batch is done again
        num_done -= num_done % num_examples % loader.batch_size
        if num_done:
            advance(num_done, "")
        while num_done < num_views * num_examples:
            view, num_of_view = divmod(num_done, num_examples)
            batches = loader.epoch(view, skip=num_of_view // loader.batch_size)
            for batch in profile.waited_for(batches):
                with profile.part(FORWARD):
                    rows = batch.indices_B.numpy()
                    features_VNX[view, rows] = compute(batch.images_BCHW)
                num_done += len(rows)
                if time.monotonic() - flushed_at > _FLUSH_S:
                    _flush(features_VNX, count_path, num_done)
                    flushed_at = time.monotonic()
                advance(len(rows), "")
    finally:
        _flush(features_VNX, count_path, num_done)
        loader.close()
    return np.load(path, mmap_mode="r")


def _open(path: Path, shape: tuple[int, ...], *, is_new: bool) -> np.memmap:
    if not is_new:
        return np.lib.format.open_memmap(path, mode="r+")
    try:
        features_VNX = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            # a full disk is an error here; later, at a page of the map, it would kill the process
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        size = f"{4 * math.prod(shape) / 1e9:.2g} GB"
        raise RunError(
            f"{path.parent} has no room for {size} of a frozen backbone's features: {error};\n"
            f"free some space, then `finelens train --resume {typed(path.parent.parent)}`, or "
            "start with --no-cache: the backbone then works on every batch"
        ) from error
    return features_VNX


def _flush(features_VNX: np.memmap, count_path: Path, num_done: int) -> None:
    try:
        features_VNX.flush()
        write_text_atomic(count_path, str(num_done))
    except OSError as error:
        raise unwritable(count_path.parent, error) from error


def forget_features(path: Path) -> None:
    """Delete what ``extract_features`` left at a path."""
    # the count first: it must never outlive the features it counts
    path.with_suffix(".count").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
