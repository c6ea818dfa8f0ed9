"""The scores of one item of a run's own data, as bars."""

from __future__ import annotations

import numpy as np

from finelens.web.served_run import ServedRun
from finelens.web.ui.parts import Bar


def bars_of(run: ServedRun, split: str, row: int) -> list[Bar]:
    """Return a bar for every class of a row of a split's scores, the highest first."""
    task, scores = run.predictor.saved.task, run.items.scores(split)
    probabilities_1K = run.decision.probabilities(task, scores.logits_NK[[row]])
    decided_K = run.decision.decide(probabilities_1K)[0]
    targets_K = scores.targets_NK[row]
    thresholds = run.decision.thresholds or (None,) * task.num_classes
    return [
        Bar(
            task.classes[k],
            float(probabilities_1K[0, k]),
            thresholds[k],
            bool(decided_K[k]),
            None if np.isnan(targets_K[k]) else bool(targets_K[k] == 1),
        )
        for k in np.argsort(-probabilities_1K[0], kind="stable")
    ]
