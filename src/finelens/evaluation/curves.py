"""Curves: precision over recall and the ROC, one a class and their mean, ready to draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from finelens.evaluation.operating_points import OperatingPoints, class_operating_points
from finelens.task import FloatArray

CURVE_SCHEMA = {"class": pl.String, "kind": pl.String, "x": pl.Float64, "y": pl.Float64}

_GRID = np.linspace(0.0, 1.0, 101)

Curve = tuple[FloatArray, FloatArray]


def precision_recall_curve(points: OperatingPoints) -> Curve:
    """Return (recall, precision) of a class, recall rising; empty without positives.

    Begins at recall 0 with the first point's precision. Otherwise the points of
    scikit-learn's ``precision_recall_curve`` in reverse.
    """
    if not points.num_positive:
        return np.array([]), np.array([])
    recall_G, precision_G = points.counts.recall, points.counts.precision
    return np.append(0.0, recall_G), np.append(precision_G[0], precision_G)


def roc_curve(points: OperatingPoints) -> Curve:
    """Return (false positive rate, recall) of a class from (0, 0) to (1, 1).

    Empty without positives or negatives. Agrees with scikit-learn's
    ``roc_curve(drop_intermediate=False)``.
    """
    if not points.num_positive or not points.num_negative:
        return np.array([]), np.array([])
    return np.append(0.0, points.false_positive_rate), np.append(0.0, points.counts.recall)


def mean_curve(curves: Sequence[Curve], *, interpolated: bool) -> Curve:
    """Return the mean of curves at 101 places of x in [0, 1] (vertical averaging).

    Fawcett 2006, section 8.1. Precision is ``interpolated``: the highest at this recall or
    beyond; a ROC is joined by straight lines. Empty curves are left out.
    """
    filled = [(x, y) for x, y in curves if len(x)]
    if not filled:
        return np.array([]), np.array([])
    if interpolated:
        rows = [
            np.maximum.accumulate(y[::-1])[::-1][np.searchsorted(x, np.minimum(_GRID, x[-1]))]
            for x, y in filled
        ]
    else:
        # of several points at one rate the last, the highest, holds
        rows = [np.interp(_GRID, *_rightmost(x, y)) for x, y in filled]
    return _GRID, np.mean(rows, axis=0)


def curve_table(
    probabilities_NK: FloatArray,
    targets_NK: FloatArray,
    classes: Sequence[str],
    *,
    most_points: int = 200,
) -> pl.DataFrame:
    """Return all curves as rows: class (null: mean over classes), kind, x, y.

    ``kind`` is ``precision_recall`` (x recall, y precision) or ``roc`` (x false positive
    rate, y recall). A curve of more than ``most_points`` is thinned evenly, ends kept;
    classes that have no curve have no rows.

    Raises:
        DataError: If the two shapes differ or N is 0.
    """
    points = class_operating_points(probabilities_NK, targets_NK)
    parts = [pl.DataFrame(schema=CURVE_SCHEMA)]
    for kind, draw in CURVES.items():
        curves = [draw(point) for point in points]
        mean = mean_curve(curves, interpolated=kind == "precision_recall")
        for name, curve in zip([*classes, None], [*curves, mean], strict=True):
            x, y = _thinned(curve, most_points)
            columns = {"class": [name] * len(x), "kind": [kind] * len(x), "x": x, "y": y}
            parts.append(pl.DataFrame(columns, schema=CURVE_SCHEMA))
    return pl.concat(parts)


def _rightmost(x: FloatArray, y: FloatArray) -> Curve:
    last = np.append(np.diff(x) > 0, True)
    return x[last], y[last]


def _thinned(curve: Curve, most: int) -> Curve:
    x, y = curve
    if len(x) <= most:
        return curve
    kept = np.linspace(0, len(x) - 1, most).round().astype(int)
    return x[kept], y[kept]


CURVES = {"precision_recall": precision_recall_curve, "roc": roc_curve}
