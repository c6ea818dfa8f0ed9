"""The features: what the frozen backbone makes of every picture, kept on disk while it works."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finelens.data.loader import Loader
from finelens.evaluation.passes import Passes
from finelens.models.classifier import Classifier
from finelens.progress import Advance
from finelens.runs.directory import write_text_atomic
from finelens.training.profile import FORWARD, Profile

_FLUSH_S = 60.0


def extract_features(
    classifier: Classifier,
    loader: Loader,
    passes: Passes,
    *,
    num_examples: int,
    path: Path,
    profile: Profile,
    advance: Advance,
) -> NDArray[np.float32]:
    """Return the backbone's features of every picture, shape (N, F), in the loader's order.

    They are written to ``path`` as they come: a pass that was killed goes on there and loses
    at most a minute. To the last bit they are those that scoring gives the head.

    Args:
        classifier: Is put in evaluation mode.
        loader: Gives the pictures, not shuffled.
        passes: The classifier's.
        num_examples: N.
        path: A ``.npy`` file; beside it lies one that says how many pictures are done.
        profile: Is told what each part took.
        advance: Called with the pictures done.
    """
    shape = (num_examples, classifier.num_features)
    count_path = path.with_suffix(".count")
    num_done = int(count_path.read_text()) if count_path.is_file() and path.is_file() else 0
    features_NF = _open(path, shape, is_new=num_done == 0)
    classifier.eval()
    flushed_at = time.monotonic()
    try:
        # another machine may read more at a time: a part of a batch is done again
        first = num_done // loader.batch_size
        num_done = first * loader.batch_size
        for batch in profile.waited_for(loader.epoch(0, skip=first)):
            with profile.part(FORWARD):
                features_NF[batch.indices_B.numpy()] = passes.features(batch.images_BCHW)
            num_done += len(batch.indices_B)
            if time.monotonic() - flushed_at > _FLUSH_S:
                _flush(features_NF, count_path, num_done)
                flushed_at = time.monotonic()
            advance(len(batch.indices_B), "")
    finally:
        _flush(features_NF, count_path, num_done)
    return np.array(features_NF)


def _open(path: Path, shape: tuple[int, int], *, is_new: bool) -> np.memmap:
    if not is_new:
        return np.lib.format.open_memmap(path, mode="r+")
    features_NF = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        # a full disk is an error here; later, at a page of the map, it would kill the process
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return features_NF


def _flush(features_NF: np.memmap, count_path: Path, num_done: int) -> None:
    features_NF.flush()
    write_text_atomic(count_path, str(num_done))


def forget_features(path: Path) -> None:
    """Delete what ``extract_features`` left at a path."""
    # the count first: it must never outlive the features it counts
    path.with_suffix(".count").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
