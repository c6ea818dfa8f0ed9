"""The early stop: where training ended before its last epoch, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from finelens.reporting.history import Series
from finelens.reporting.page import number, opened, percent
from finelens.reporting.record import RunRecord, logged_words


@dataclass(frozen=True)
class EarlyStop:
    """What a recipe says of stopping, and what came of it.

    Attributes:
        metric: The validation metric that decides, as the log names it.
        epoch: The last one, where training stopped early; None where it ran to its end.
        target: A value that is enough, if one is set.
        words: Sentences that say when and why it stopped, or that it did not; may be empty.
    """

    metric: str
    epoch: int | None
    target: float | None
    words: str


def find_early_stop(record: RunRecord) -> EarlyStop | None:
    """Return how a run stopped; None where its recipe lets it run and it did.

    Read from the recipe's ``stop``, the summary's ``stopped`` and the metrics log.
    """
    stop = record.recipe.get("stop") or {}
    target, patience = stop.get("target"), stop.get("patience")
    reason = record.summary.get("stopped")
    if reason is None and target is None and patience is None:
        return None
    metric = stop.get("metric") or record.followed_metric
    if reason is None:
        return EarlyStop(metric, None, target, _ran_on(metric, target))
    planned = _planned_epochs(record)
    epoch = record.history.num_epochs
    when = f"Training stopped early, after epoch {epoch}{f' of {planned}' if planned else ''}"
    why = _reason(record.history.of("val", metric), metric, target) or reason
    return EarlyStop(metric, epoch, target, f"{when}: {why}.")


def told_value(metric: str, value: float) -> str:
    """Return a logged metric's value in words: a loss as a number, all else in percent."""
    return number(value, 4) if metric == "loss" else percent(value)


def _ran_on(metric: str, target: float | None) -> str:
    if target is None:
        return ""
    enough = told_value(metric, target)
    return f"{opened(logged_words(metric))} of {enough} would have ended it; it was not reached."


def _reason(series: Series, metric: str, target: float | None) -> str:
    """Return why training stopped, from what was measured; empty where nothing was."""
    if not series:
        return ""
    words, last, is_loss = logged_words(metric), series.values[-1], metric == "loss"
    if target is not None and (
        math.isclose(last, target) or (last < target if is_loss else last > target)
    ):
        enough = told_value(metric, target)
        return f"{words} reached {told_value(metric, last)}, and {enough} was enough"
    best = min(series.values) if is_loss else max(series.values)
    since = series.epochs[series.values.index(best)]
    return (
        f"{words} was not better than the {told_value(metric, best)} of epoch {since} "
        f"in the {series.epochs[-1] - since} epochs since"
    )


def _planned_epochs(record: RunRecord) -> int | None:
    epochs = [phase.get("epochs") for phase in record.recipe.get("phases") or ()]
    return sum(epochs) if epochs and None not in epochs else None
