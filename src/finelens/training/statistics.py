"""Batch statistics: measured anew for weights that no training step has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing
from finelens.models.classifier import Classifier
from finelens.models.freeze import set_training
from finelens.models.memory_format import in_format
from finelens.progress import Advance


def renew_statistics(
    classifier: Classifier,
    loader: Loader,
    preprocessing: Preprocessing,
    *,
    epoch: int,
    device: torch.device,
    channels_last: bool,
    advance: Advance,
) -> None:
    """Set the running mean and variance of batch norms to those of an epoch's pictures.

    Averaged weights need it: their activations are not the averages of their parts'
    activations (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018, section 3.2). Each batch counts the same, as in
    ``torch.optim.swa_utils.update_bn``. Batch norms that are frozen, by ``apply_freeze``, stay
    as they are; nothing is read where no other is left. Nothing drops out. Of several processes
    each goes by its share of the pictures; the first one's weights are kept.

    Args:
        classifier: Is changed in its batch norms alone, and left in evaluation mode.
        loader: Gives the pictures.
        preprocessing: Normalises them.
        epoch: Which of the loader's epochs.
        device: Where the classifier is.
        channels_last: The memory format of the pictures.
        advance: Called with the pictures done.
    """
    set_training(classifier)
    judged = (*classifier.backbone.modules(), *classifier.head.modules())
    norms = [module for module in judged if _is_learning(module)]
    classifier.eval()
    with _measuring(norms):
        for batch in loader.epoch(epoch) if norms else ():
            images_BCHW = preprocessing.normalise(batch.images_BCHW.to(device))
            with torch.no_grad():
                classifier(in_format(images_BCHW, channels_last=channels_last))
            advance(len(batch.indices_B), "")


def _is_learning(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.training and module.track_running_stats


@contextmanager
def _measuring(modules: list[nn.Module]) -> Iterator[None]:
    """Let batch norms take the plain mean over batches, from nothing; their counters return."""
    norms = [module for module in modules if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counters = [torch.as_tensor(norm.num_batches_tracked).clone() for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum, counter in zip(norms, momenta, counters, strict=True):
            norm.momentum = momentum
            torch.as_tensor(norm.num_batches_tracked).copy_(counter)
            norm.eval()
