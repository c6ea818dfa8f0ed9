"""The quality: both sides of a row judged by the same function, on the same test pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from suite import inputs
from suite.row import Bench


def of_run(metric: str, out: Path) -> float:
    """Return a figure of a finelens run's own evaluation on test."""
    content = json.loads((out / "evaluation" / "test" / "metrics.json").read_text())
    return content[metric]


def of_scores(bench: Bench, name: str, metric: str, out: Path) -> float:
    """Return a figure of scores that a peer wrote, against the data set's own labels.

    The peer may have its own order of the pictures, but the data set's of the classes.
    VOC's "difficult" objects count neither way, as in a run's own evaluation.
    """
    from finelens.data.sources.read import read_source
    from finelens.decision import highest
    from finelens.evaluation.accuracy import accuracy
    from finelens.evaluation.average_precision import mean_average_precision

    source = inputs.plants(bench) if name == "plants" else inputs.voc(bench)
    test = read_source(source).of_split("test")
    with np.load(out.with_suffix(".npz")) as stored:
        scores_NK = stored["scores_NK"].astype(np.float64)
        rows = {path: row for row, path in enumerate(stored["paths"].tolist())}
    if len(rows) != len(scores_NK) or rows.keys() != set(test.paths):
        raise SystemExit(f"{out} holds scores of other pictures than {source}")
    scores_NK = scores_NK[[rows[path] for path in test.paths]]
    if metric == "accuracy":
        return accuracy(highest(scores_NK), test.targets())
    return mean_average_precision(scores_NK, test.targets())
