"""The examples: a few items of a run's validation split to try its model on."""

from __future__ import annotations

from pathlib import Path

from finelens.data.clip_places import parse_place
from finelens.evaluation.examples import choose_examples
from finelens.web.served_run import ServedRun

MOST_EXAMPLES = 10


def example_items(run: ServedRun) -> list[str]:
    """Return ids of items of as many classes as may be; empty where no split was evaluated."""
    splits = run.items.splits
    if not splits:
        return []
    split = "val" if "val" in splits else splits[0]
    scores = run.items.scores(split)
    rows = choose_examples(scores, run.decision, n=MOST_EXAMPLES, is_usable=_is_there)
    return [run.items.id_of(split, scores.ids[row]) for row in rows]


def _is_there(path: str) -> bool:
    # an element of an array has no file of its own
    return Path(parse_place(path).path).exists()
