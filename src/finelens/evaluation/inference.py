"""Inference: a model and a loader become ``Scores``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.evaluation.scores import Scores
from finelens.task import Task

if TYPE_CHECKING:
    from finelens.data.example import Span
    from finelens.data.loader import Batch


def score(
    classifier: nn.Module,
    loader: Iterable[Batch],
    logits: Callable[[Tensor], NDArray[np.float32]],
    *,
    ids: Sequence[str],
    paths: Sequence[str],
    task: Task,
    groups: Sequence[str | None] | None = None,
    spans: Sequence[Span] | None = None,
    is_clips: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Return the model's logits for every picture of a loader, in the order of ``ids``.

    Each module's training mode is put back afterwards.

    Args:
        classifier: Is in evaluation mode meanwhile.
        loader: Batches that cover the indices 0 to N - 1, each once, in any order.
        logits: Makes the classifier's logits of uint8 views, such as ``Passes``.
        ids: N names.
        paths: N files.
        task: The K classes.
        groups: N recordings that the pictures come from, None where there is none.
        spans: N parts of their videos.
        is_clips: Whether the loader may have something to note of a file.
        progress: Called after each batch with the number of pictures just done.

    Raises:
        ModelError: If the logits of a readable picture are not finite.
    """
    shape_NK = (len(ids), task.num_classes)
    logits_NK = np.full(shape_NK, np.nan, dtype=np.float32)
    targets_NK = np.full(shape_NK, np.nan, dtype=np.float32)
    errors: list[str | None] = [None] * len(ids)
    notes: list[str | None] = [None] * len(ids)
    done = 0
    with _evaluating(classifier), torch.inference_mode():
        for batch in loader:
            rows = batch.indices_B.numpy()
            logits_NK[rows] = logits(batch.images_BCHW)
            targets_NK[rows] = batch.targets_BK.numpy()
            for row, error, note in zip(rows, batch.errors, batch.notes, strict=True):
                errors[row], notes[row] = error, note
            done += len(rows)
            if progress is not None:
                progress(len(rows))
    assert done == len(ids), f"the loader gave {done} pictures of {len(ids)}"
    unreadable_N = np.array([error is not None for error in errors], dtype=bool)
    logits_NK[unreadable_N] = np.nan
    _require_finite(logits_NK, ~unreadable_N, ids)
    return Scores(
        tuple(ids), tuple(paths), logits_NK, targets_NK, tuple(errors), task,
        groups=None if groups is None else tuple(groups),
        spans=None if spans is None else tuple(spans),
        notes=tuple(notes) if is_clips else None,
    )  # fmt: skip


def score_features(
    classifier: nn.Module,
    features_NX: NDArray[np.float32],
    logits_of: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    ids: Sequence[str],
    paths: Sequence[str],
    targets_NK: NDArray[np.float32],
    task: Task,
) -> Scores:
    """Return the scores of pictures whose features are known, as ``score`` gives them.

    Args:
        classifier: Is in evaluation mode meanwhile.
        features_NX: Of each, what ``logits_of`` takes.
        logits_of: Makes the classifier's logits of features, such as ``Passes.logits_of``.
        ids: N names.
        paths: N files.
        targets_NK: Target rows.
        task: The K classes.

    Raises:
        ModelError: If logits are not finite.
    """
    with _evaluating(classifier):
        logits_NK = logits_of(features_NX)
    _require_finite(logits_NK, np.full(len(ids), fill_value=True), ids)
    errors = (None,) * len(ids)
    return Scores(tuple(ids), tuple(paths), logits_NK, targets_NK, errors, task)


@contextmanager
def _evaluating(classifier: nn.Module) -> Iterator[None]:
    # frozen parts train in eval mode: one classifier.train() would wake them
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _require_finite(logits_NK: np.ndarray, readable_N: np.ndarray, ids: Sequence[str]) -> None:
    broken = np.flatnonzero(readable_N & ~np.isfinite(logits_NK).all(axis=1))
    if len(broken):
        raise ModelError(
            f"the model's scores are not finite for {len(broken)} of {len(ids)} pictures, such "
            f"as {ids[broken[0]]}: training diverged; lower optimizer.lr or set train.clip_norm"
        )
