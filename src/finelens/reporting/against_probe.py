"""Fine-tuning held against the probe: what each reached on validation, and which was kept."""

from __future__ import annotations

from dataclasses import dataclass

from finelens.reporting.page import number, percent
from finelens.reporting.record import RunRecord, logged_words


@dataclass(frozen=True)
class AgainstProbe:
    """One validation metric of the probe and of fine-tuning.

    Attributes:
        metric: As the log names it.
        probe: Of the frozen backbone.
        tuned: Of the epoch whose weights are the model; of the best epoch where the probe's are.
        tuned_epoch: That epoch, from 1; None where the log does not hold it.
        is_probe_kept: Whether the probe's weights are the model.
    """

    metric: str
    probe: float
    tuned: float
    tuned_epoch: int | None
    is_probe_kept: bool

    @property
    def is_tuned_better(self) -> bool:
        """Return whether fine-tuning beat the probe."""
        if self.metric == "loss":
            return self.tuned < self.probe
        return self.tuned > self.probe


def hold_against_probe(record: RunRecord, metric: str | None = None) -> AgainstProbe | None:
    """Return what the probe and fine-tuning reached; None where either was not measured.

    Args:
        record: Of the run.
        metric: As the log names it; None takes the main metric.
    """
    metric = metric or record.main_metric
    probe = (record.summary.get("probe") or {}).get(metric, record.history.probe.get(metric))
    epoch, tuned = _tuned(record, metric)
    if probe is None or tuned is None:
        return None
    return AgainstProbe(metric, probe, tuned, epoch, record.kept_epoch == 0)


def kept_probe_sentence(record: RunRecord) -> str | None:
    """Return the sentence that the probe's weights are the model, or None where they are not."""
    if record.kept_epoch != 0:
        return None
    if not record.recipe.get("phases", True):
        return "The probe's weights are the model, as the recipe has no phases."
    held = hold_against_probe(record, record.followed_metric)
    if held is None:
        return "The probe's weights are the model: no epoch was better."
    words = logged_words(held.metric)
    tuned, probe = (
        number(value, 4) if held.metric == "loss" else percent(value)
        for value in (held.tuned, held.probe)
    )
    return (
        f"Fine-tuning reached {words} {tuned} on validation, no better than the probe's {probe}: "
        "the probe's weights are the model."
    )


def _tuned(record: RunRecord, metric: str) -> tuple[int | None, float | None]:
    """Return the epoch that speaks for fine-tuning, and its value."""
    series, kept = record.history.of("val", metric), record.kept_epoch
    best = record.summary.get("best") or {}
    if kept and next(iter(best), None) == metric:
        return kept, best[metric].get("value")
    if kept and (value := series.at(kept)) is not None:
        return kept, value
    if not series:
        return None, None
    choose = min if metric == "loss" else max
    value = choose(series.values)
    return series.epochs[series.values.index(value)], value
