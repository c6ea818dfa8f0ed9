"""The best checkpoints: for each followed metric the epoch that was best, side by side."""

from __future__ import annotations

from typing import Any

from finelens.reporting.page import number, percent
from finelens.reporting.record import RunRecord, logged_words


def best_checkpoints(record: RunRecord) -> dict[str, Any] | None:
    """Return the table of best weights: a row a metric, a column for each metric's value there.

    None where the run followed one metric only. Epoch 0 is the probe.
    """
    best = record.summary.get("best") or {}
    if len(best) < 2:
        return None
    rows = [
        {
            "words": logged_words(name),
            "epoch": of_metric["epoch"],
            "cells": [
                {"value": _spoken(other, _value(record, other, of_metric["epoch"])),
                 "is_own": other == name}
                for other in best
            ],
            "file": _file(record, name, of_metric["epoch"]),
        }
        for name, of_metric in best.items()
    ]  # fmt: skip
    return {"metrics": [logged_words(name) for name in best], "rows": rows}


def _value(record: RunRecord, name: str, epoch: int) -> float | None:
    if epoch == 0:
        return record.history.probe.get(name)
    return record.history.of("val", name).at(epoch)


def _spoken(name: str, value: float | None) -> str:
    return number(value, 4) if name == "loss" else percent(value)


def _file(record: RunRecord, name: str, epoch: int) -> str | None:
    # a run of an earlier version names them by epoch alone
    for stem in (f"best-{name}", f"best-epoch-{epoch:04d}"):
        path = record.run.checkpoints / f"{stem}.safetensors"
        if path.is_file():
            return f"{record.run.checkpoints.name}/{path.name}"
    return None
