"""The examples: a few items of a run's validation split, of as many classes as may be."""

from __future__ import annotations

import numpy as np

from finelens.web.served_run import ServedRun

MOST_EXAMPLES = 10


def example_items(run: ServedRun) -> list[str]:
    """Return ids of items to try a model on: each class's first in turn; empty without a split."""
    splits = run.items.splits
    if not splits:
        return []
    split = "val" if "val" in splits else splits[0]
    scores = run.items.scores(split)
    readable_N = np.array([error is None for error in scores.errors], dtype=bool)
    chosen: dict[int, None] = {}
    for targets_N in scores.targets_NK.T:
        rows = [int(row) for row in np.flatnonzero((targets_N == 1) & readable_N)]
        new = next((row for row in rows if row not in chosen), None)
        if new is not None and len(chosen) < MOST_EXAMPLES:
            chosen[new] = None
    rows = list(chosen) or [int(row) for row in np.flatnonzero(readable_N)[:MOST_EXAMPLES]]
    return [run.items.id_of(split, row) for row in rows]
