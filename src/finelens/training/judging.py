"""Judging: what an epoch is measured by, and with which weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from accelerate.utils import broadcast_object_list

from finelens.data.loader import Loader
from finelens.evaluation.evaluate import fixed_decision, quick_metrics
from finelens.evaluation.scores import Scores
from finelens.training.losses import Loss
from finelens.training.phases import Phase
from finelens.training.setting import Setting
from finelens.training.state import TrainingState
from finelens.training.statistics import renew_statistics


@contextmanager
def judged_weights(
    setting: Setting, state: TrainingState, phase: Phase, loader: Loader
) -> Iterator[None]:
    """Let the classifier hold what the running epoch is judged by: an average, or its own weights.

    Every ``phase.average_every`` epochs the weights enter the phase's stochastic average and it
    is judged, its batch statistics measured on the loader's pictures.
    """
    num_averaged, is_left = divmod(state.position.epoch + 1, phase.average_every or 1)
    if state.phase_average is None or is_left:
        with state.average.applied(state.classifier) if state.average else nullcontext():
            yield
        return
    # an epoch that was interrupted while it was judged has averaged its weights already
    if state.phase_average.num_updates < num_averaged:
        state.phase_average.update()
    with state.phase_average.applied(state.classifier):
        title = "batch statistics of the average"
        epoch = phase.first_epoch + state.position.epoch
        with setting.progress.stage(title, loader.num_samples(epoch)) as advance:
            renew_statistics(
                state.classifier, loader, setting.preprocessing,
                epoch=epoch,
                device=setting.accelerator.device,
                channels_last=setting.recipe.train.channels_last,
                advance=advance,
            )  # fmt: skip
        yield


def measure(setting: Setting, scores: Scores, loss: Loss) -> dict[str, float]:
    """Return the loss and the quick metrics of a split's scores.

    Yes is said where ``decide.threshold`` is reached, 0.5 where it is left to be chosen.
    """
    value = loss(torch.from_numpy(scores.logits_NK), torch.from_numpy(scores.targets_NK))
    decision = fixed_decision(setting.task, setting.judged_threshold)
    values = {"loss": float(value), **quick_metrics(scores, decision)}
    # batch norms of other processes saw other pictures: all go by the first one's figures
    return broadcast_object_list([values])[0]
