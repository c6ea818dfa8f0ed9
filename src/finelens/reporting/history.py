"""The history: the metrics log as series over epochs, with the phases they fell in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from finelens.runs.log import PROBE_PHASE


@dataclass(frozen=True)
class Series:
    """One metric over epochs; epochs rise, and values hold no NaN."""

    epochs: tuple[int, ...]
    values: tuple[float, ...]

    def __bool__(self) -> bool:
        return bool(self.epochs)

    def at(self, epoch: int | None) -> float | None:
        """Return the value of an epoch (None: of the last), or None where none was measured."""
        if epoch is None:
            return self.last
        return dict(zip(self.epochs, self.values, strict=True)).get(epoch)

    @property
    def last(self) -> float | None:
        """Return the last value, or None."""
        return self.values[-1] if self.values else None


@dataclass(frozen=True)
class Phase:
    """A stretch of training: its name, and its first and last epoch, counted from 1."""

    name: str
    first_epoch: int
    last_epoch: int


@dataclass(frozen=True)
class History:
    """What was measured while training.

    Attributes:
        series: A metric's values by (split, name).
        probe: The probe's figures on val.
        phases: In the order they were trained.
        epochs: All epochs that have a row, rising, be its value null.
    """

    series: Mapping[tuple[str, str], Series]
    probe: Mapping[str, float]
    phases: tuple[Phase, ...]
    epochs: tuple[int, ...] = ()

    def of(self, split: str, name: str) -> Series:
        """Return a metric's series on a split; empty where it was not measured."""
        return self.series.get((split, name), Series((), ()))

    def names(self, split: str) -> list[str]:
        """Return the names measured on a split, in the order they first appear."""
        return [name for of_split, name in self.series if of_split == split]

    def phase_of(self, epoch: int) -> str | None:
        """Return the name of an epoch's phase, or None where there was no such epoch."""
        return next(
            (one.name for one in self.phases if one.first_epoch <= epoch <= one.last_epoch), None
        )

    @property
    def num_epochs(self) -> int:
        """Return the last epoch measured; 0 where there was no training."""
        return max((series.epochs[-1] for series in self.series.values()), default=0)


def read_history(rows: Iterable[Mapping[str, Any]]) -> History:
    """Return the history of a metrics log's rows, as ``finelens.runs.log.read_log`` gives them.

    Several rows of one metric, split and epoch are averaged (a loss logged every few steps);
    nulls are left out. Rows of phase ``probe`` on val become ``probe``.
    """
    cells: dict[tuple[str, str], dict[int, list[float]]] = {}
    phases: list[Phase] = []
    probe: dict[str, float] = {}
    epochs: set[int] = set()
    for row in rows:
        epoch, is_known = row["epoch"], row["value"] is not None
        if row["phase"] == PROBE_PHASE or epoch == 0:
            if row["split"] == "val" and is_known:
                probe[row["name"]] = row["value"]
            continue
        epochs.add(epoch)
        if phases and phases[-1].name == row["phase"]:
            phases[-1] = replace(phases[-1], last_epoch=max(epoch, phases[-1].last_epoch))
        else:
            phases.append(Phase(row["phase"], epoch, epoch))
        if is_known:
            of_metric = cells.setdefault((row["split"], row["name"]), {})
            of_metric.setdefault(epoch, []).append(row["value"])
    series = {key: _mean_by_epoch(values) for key, values in cells.items()}
    return History(series, probe, tuple(phases), tuple(sorted(epochs)))


def _mean_by_epoch(values: Mapping[int, list[float]]) -> Series:
    epochs = sorted(values)
    return Series(tuple(epochs), tuple(sum(values[e]) / len(values[e]) for e in epochs))
