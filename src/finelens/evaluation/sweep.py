"""The sweep: what one threshold for all classes would give, at 21 thresholds."""

from __future__ import annotations

import numpy as np
import polars as pl

from finelens.evaluation.counts import count_cells
from finelens.evaluation.targets import labelled_rows, require_aligned
from finelens.task import FloatArray

SWEEP_THRESHOLDS = tuple(round(step * 0.05, 2) for step in range(21))


def sweep(probabilities_NK: FloatArray, targets_NK: FloatArray) -> pl.DataFrame:
    """Return precision, recall and F1 by one threshold for all classes, 0 to 1 by 0.05.

    21 rows; columns threshold, then example_, macro_ and micro_ precision, recall and f1 as
    in ``metrics``; ``macro_precision`` is the mean precision over classes of the VOC row.
    Give -1 as the probability of cells that must never be decided.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    require_aligned(probabilities_NK, targets_NK)
    rows_N = labelled_rows(targets_NK)
    probabilities_NK, targets_NK = probabilities_NK[rows_N], targets_NK[rows_N]
    known_K = ~np.isnan(targets_NK).all(axis=0)
    rows: list[dict[str, float]] = []
    for threshold in SWEEP_THRESHOLDS:
        cells = count_cells(probabilities_NK >= threshold, targets_NK)
        classes = cells.sum(axis=0)
        row = {"threshold": threshold}
        for name in ("precision", "recall", "f1"):
            values_N, values_K = getattr(cells.sum(axis=1), name), getattr(classes, name)[known_K]
            row[f"example_{name}"] = float(values_N.mean()) if values_N.size else np.nan
            row[f"macro_{name}"] = float(values_K.mean()) if values_K.size else np.nan
            row[f"micro_{name}"] = float(getattr(classes.sum(), name)) if values_K.size else np.nan
        rows.append(row)
    return pl.DataFrame(rows)
