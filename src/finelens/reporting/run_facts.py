"""The facts of a run: its network, its size, its times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finelens.reporting.convergence import find_convergence
from finelens.reporting.early_stop import find_early_stop
from finelens.reporting.page import count, number
from finelens.reporting.record import RunRecord, logged_words


def run_facts(record: RunRecord) -> list[tuple[str, str]]:
    """Return what is known of a run, as words and values."""
    summary = record.summary
    seconds = summary.get("seconds_per_picture")
    trained = summary.get("num_trainable_parameters")
    stop = find_early_stop(record)
    facts = {
        "Backbone": record.model.get("backbone"),
        "Input": _input(record.preprocessing),
        "Parameters": count(summary["num_parameters"]) if "num_parameters" in summary else None,
        "Trained parameters": count(trained) if trained is not None else None,
        "Epochs": str(record.history.num_epochs) if record.history.num_epochs else None,
        "Converged": _convergence(record),
        "Weights kept": _kept(record.kept_epoch),
        "Training time": _spoken_minutes(summary.get("training_minutes")),
        "Training speed": _speed(summary.get("samples_per_second"), record.noun),
        "Scoring": f"{number(seconds * 1000, 1)} ms a {record.noun}" if seconds else None,
        "Training ended": f"early, after epoch {stop.epoch}" if stop and stop.epoch else None,
    }
    return [(words, str(value)) for words, value in facts.items() if value]


def _input(preprocessing: Mapping[str, Any]) -> str:
    size, frames = preprocessing["size"], preprocessing.get("frames")
    stride = preprocessing.get("stride")
    apart = f", {stride} apart" if stride else ""
    return f"{f'{frames} frames{apart}, ' if frames else ''}{size} × {size} px"


def _convergence(record: RunRecord) -> str | None:
    converged = find_convergence(record)
    if converged is None:
        return None
    by = record.followed_metric
    words = "" if by == record.main_metric else f" by {logged_words(by)}"
    return f"epoch {converged.epoch}{words}, {number(converged.iterations, 0)} iterations"


def _kept(epoch: int | None) -> str | None:
    if epoch is None:
        return None
    return f"of epoch {epoch}" if epoch else "the probe's"


def _spoken_minutes(minutes: float | None) -> str | None:
    if minutes is None:
        return None
    return f"{minutes * 60:.0f} s" if minutes < 2 else f"{minutes:.1f} min"


def _speed(per_second: float | None, noun: str) -> str | None:
    return None if per_second is None else f"{number(per_second, 0)} {noun}s/s"
