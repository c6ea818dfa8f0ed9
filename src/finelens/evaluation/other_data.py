"""Other data than a run's own: where they lie, and how many of them the run knows already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KEY = "other_data"
"""Where ``metrics.json`` holds them; that of a run's own split has no such key."""


@dataclass(frozen=True)
class OtherData:
    """What an evaluation is of, where that is not a split of the run's own.

    Attributes:
        path: Absolute.
        split: The split of the data; None: they have none, and all were taken.
        num_examples: How many there are, N.
        num_train: Those of the N that lie in the run's train split.
        num_val: Of the others, those that lie in its val split.
        num_gone: The run's own train and val examples that could not be looked at.
    """

    path: str
    split: str | None
    num_examples: int
    num_train: int
    num_val: int
    num_gone: int

    @classmethod
    def of_metrics(cls, metrics: Mapping[str, Any]) -> OtherData | None:
        """Return those of a ``metrics.json``; None of a run's own split."""
        content = metrics.get(KEY)
        return None if content is None else cls(**content)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``metrics.json`` under ``KEY``."""
        return asdict(self)

    def source(self, noun: str) -> str:
        """Return what was taken, such as ``60 pictures of /data/garden, its test split``."""
        named = "" if self.split is None else f", its {self.split} split"
        return f"{_counted(self.num_examples, noun)} of {self.path}{named}"

    def cautions(self, noun: str) -> list[str]:
        """Return the sentences, without a full stop, of what flatters the figures.

        Args:
            noun: What the examples are called: ``picture`` or ``clip``.
        """
        told = []
        if self.num_train or self.num_val:
            of_all = f"of these {_counted(self.num_examples, noun)}"
            is_train, is_val = (_is_in(count) for count in (self.num_train, self.num_val))
            parts = [f"{self.num_train} {of_all} {is_train} the run's train split"]
            if self.num_val:
                parts.append(f"{self.num_val} {is_val} its val split, on which it was chosen")
            if not self.num_train:
                parts = [
                    f"{self.num_val} {of_all} {is_val} the run's val split, on which it was chosen"
                ]
            told.append(f"{', and '.join(parts)}: the figures flatter")
        if self.num_gone:
            told.append(
                f"{_counted(self.num_gone, noun)} of the run's own train and val splits could not "
                "be looked at, so these may hold copies of them that nobody noticed"
            )
        return told


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def _is_in(number: int) -> str:
    return "is in" if number == 1 else "are in"
