"""The features: what the frozen backbone makes of every picture, kept on disk while it works."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing
from finelens.models.classifier import Classifier
from finelens.models.memory_format import in_format
from finelens.progress import Advance
from finelens.runs.directory import write_text_atomic

_FLUSH_S = 60.0


def extract_features(
    classifier: Classifier,
    loader: Loader,
    preprocessing: Preprocessing,
    *,
    num_examples: int,
    path: Path,
    accelerator: Accelerator,
    channels_last: bool,
    advance: Advance,
) -> NDArray[np.float32]:
    """Return the backbone's features of every picture, shape (N, F), in the loader's order.

    They are written to ``path`` as they come: a pass that was killed goes on there and loses
    at most a minute.

    Args:
        classifier: Is put in evaluation mode.
        loader: Gives the pictures, not shuffled.
        preprocessing: Normalises them.
        num_examples: N.
        path: A ``.npy`` file; beside it lies one that says how many batches are done.
        accelerator: Gives the device.
        channels_last: The memory format of the pictures.
        advance: Called with the pictures done.
    """
    shape = (num_examples, classifier.num_features)
    count_path = path.with_suffix(".count")
    num_done = int(count_path.read_text()) if count_path.is_file() and path.is_file() else 0
    features_NF = _open(path, shape, is_new=num_done == 0)
    classifier.eval()
    flushed_at = time.monotonic()
    try:
        for batch in loader.epoch(0, skip=num_done):
            with torch.inference_mode():
                images_BCHW = preprocessing.normalise(batch.images_BCHW.to(accelerator.device))
                images_BCHW = in_format(images_BCHW, channels_last=channels_last)
                features_BF = classifier.features(images_BCHW)
            features_NF[batch.indices_B.numpy()] = features_BF.float().cpu().numpy()
            num_done += 1
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


def _flush(features_NF: np.memmap, count_path: Path, num_batches: int) -> None:
    features_NF.flush()
    write_text_atomic(count_path, str(num_batches))


def forget_features(path: Path) -> None:
    """Delete what ``extract_features`` left at a path."""
    # the count first: it must never outlive the features it counts
    path.with_suffix(".count").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
