"""Agreement: how far a batch's logits and targets agree, cheap enough for every batch."""

from __future__ import annotations

import torch
from torch import Tensor

from finelens.task import Task


def agreement_names(task: Task) -> tuple[str, ...]:
    """Return what ``batch_agreement`` measures, by the names of ``evaluation.quick_metrics``."""
    if not task.is_multi_label:
        return ("accuracy",)
    return ("example_precision", "example_recall", "example_f1")


def batch_agreement(
    logits_BK: Tensor, targets_BK: Tensor, task: Task, *, threshold: float = 0.5
) -> Tensor:
    """Return sums over a batch's pictures, one for each of ``agreement_names``, float32.

    One of many: accuracy. Multi-label: precision, recall and F1 of each picture from a
    probability on, where every 0/0 counts 0 (the A2D course's definitions); NaN targets count
    neither way.
    """
    if not task.is_multi_label:
        return (logits_BK.argmax(1) == targets_BK.argmax(1)).float().sum()[None]
    is_counted_BK = ~targets_BK.isnan()
    said_BK = (logits_BK.float().sigmoid() >= threshold) & is_counted_BK
    true_BK = (targets_BK == 1) & is_counted_BK
    num_right_B, num_said_B, num_true_B = (
        cells_BK.sum(1) for cells_BK in (said_BK & true_BK, said_BK, true_BK)
    )
    shares = (
        num_right_B / num_said_B.clamp(min=1),
        num_right_B / num_true_B.clamp(min=1),
        2 * num_right_B / (num_said_B + num_true_B).clamp(min=1),
    )
    return torch.stack([share_B.sum() for share_B in shares])
