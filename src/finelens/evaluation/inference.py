"""Inference: a model and a loader become ``Scores``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.evaluation.scores import Scores
from finelens.models.memory_format import in_format
from finelens.task import Task

if TYPE_CHECKING:
    from finelens.data.example import Span
    from finelens.data.loader import Batch
    from finelens.data.preprocessing import Preprocessing

Precision = Literal["fp32", "bf16"]


def score(
    classifier: nn.Module,
    loader: Iterable[Batch],
    preprocessing: Preprocessing,
    *,
    device: torch.device | str,
    precision: Precision = "fp32",
    channels_last: bool = True,
    forward: Callable[[Tensor], NDArray[np.float32]] | None = None,
    ids: Sequence[str],
    paths: Sequence[str],
    task: Task,
    groups: Sequence[str | None] | None = None,
    spans: Sequence[Span] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Return the model's logits for every picture of a loader, in the order of ``ids``.

    Each module's training mode is put back afterwards.

    Args:
        classifier: On ``device`` already; pictures to logits, shape (B, K).
        loader: Batches that cover the indices 0 to N - 1, each once, in any order.
        preprocessing: Its ``normalise`` makes float pictures of bytes, on ``device``.
        device: Where the model lies.
        precision: ``bf16`` computes under autocast; logits are kept in float32.
        channels_last: Memory format of the pictures.
        forward: Makes logits of a batch's uint8 views; None passes the batch to the classifier
            whole, in the precision and format given.
        ids: N names.
        paths: N files.
        task: The K classes.
        groups: N recordings that the pictures come from, None where there is none.
        spans: N parts of their videos.
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
            logits_NK[rows] = (
                forward(batch.images_BCHW)
                if forward is not None
                else _logits(
                    classifier, batch, preprocessing, torch.device(device), precision, channels_last
                )
            )
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
        notes=None if preprocessing.frames is None else tuple(notes),
    )  # fmt: skip


def _logits(
    classifier: nn.Module,
    batch: Batch,
    preprocessing: Preprocessing,
    device: torch.device,
    precision: Precision,
    channels_last: bool,
) -> np.ndarray:
    x_BCHW = preprocessing.normalise(batch.images_BCHW.to(device, non_blocking=True))
    x_BCHW = in_format(x_BCHW, channels_last=channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits_BK = classifier(x_BCHW)
    return logits_BK.float().cpu().numpy()


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
