"""Convergence: the epoch from which training gained little, and the updates it took."""

from __future__ import annotations

from dataclasses import dataclass

from finelens.config.training import TrainConfig
from finelens.reporting.history import Series
from finelens.reporting.record import RunRecord

TOLERANCE = 0.01
"""How far below the best value, relative to it, an epoch counts as converged."""


@dataclass(frozen=True)
class Convergence:
    """Where a run converged.

    Attributes:
        epoch: Counted from 1, over all phases.
        iterations: Weight updates up to the end of that epoch; a fraction where an epoch is
            not a whole number of batches.
        value: The followed validation metric after that epoch.
    """

    epoch: int
    iterations: float
    value: float


def find_convergence(record: RunRecord) -> Convergence | None:
    """Return the first epoch whose followed validation metric is within 1 % of its best.

    That is the metric that chose the weights; a loss is best when smallest. None where no epoch
    was measured, or the run no longer holds the manifest that says how many pictures it was
    trained on. The probe is no epoch; where its weights were kept, nothing converged.
    """
    if record.kept_epoch == 0:
        return None
    series = record.history.of("val", record.followed_metric)
    num_samples = record.counts.by_split.get("train") if record.counts else None
    if not series or not num_samples:
        return None
    epoch, value = _first_within(series, is_loss=record.followed_metric == "loss")
    train = TrainConfig().model_dump() | dict(record.recipe.get("train") or {})
    iterations = count_iterations(
        epoch,
        num_samples=(train["batches_per_epoch"] or 0) * train["batch_size"] or num_samples,
        batch_size=train["batch_size"],
        accumulate=train["accumulate"],
    )
    return Convergence(epoch, iterations, value)


def count_iterations(
    num_epochs: int, *, num_samples: int, batch_size: int, accumulate: int
) -> float:
    """Return epochs x samples / (batch x accumulation), as the A2D reports count (S2)."""
    return num_epochs * num_samples / (batch_size * accumulate)


def _first_within(series: Series, *, is_loss: bool) -> tuple[int, float]:
    measured = list(zip(series.epochs, series.values, strict=True))
    if is_loss:
        enough = min(series.values) * (1 + TOLERANCE)
        return next((epoch, value) for epoch, value in measured if value <= enough)
    enough = max(series.values) * (1 - TOLERANCE)
    return next((epoch, value) for epoch, value in measured if value >= enough)
