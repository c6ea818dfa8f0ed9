"""The decisions: 0 or 1 for every picture and class, as they are handed in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from finelens.evaluation.predictions import PROBABILITY
from finelens.replacing import replacing
from finelens.runs.directory import write_text_atomic


def decisions_array(predictions: pl.DataFrame) -> NDArray[np.uint8]:
    """Return 1 where a class was decided on and 0 where not, shape (N, K).

    Rows in the order of the predictions, columns in that of the classes. The row of an unreadable
    picture is zeros: with ``error`` of the predictions it can be told from one of no class.

    Args:
        predictions: As ``Predictor.predict`` gives them.
    """
    labels = pl.col("labels")
    columns = [
        labels.list.contains(pl.lit(name)).fill_null(value=False).cast(pl.UInt8).alias(name)
        for name in _classes(predictions)
    ]
    return np.ascontiguousarray(predictions.select(columns).to_numpy())


def write_decisions(path: Path, predictions: pl.DataFrame) -> None:
    """Write the array as ``.npy`` and a table as ``.csv``, each whole or not at all.

    The table's columns are ``id`` (the predictions' own, or else their path) and one of 0 and 1
    for each class; the cells of an unreadable picture are empty.

    Args:
        path: The file; its suffix is replaced by each of the two.
        predictions: As ``Predictor.predict`` gives them.

    Raises:
        OSError: If a file cannot be written (a full disk).
    """
    decisions_NK = decisions_array(predictions)
    with replacing(path.with_suffix(".npy")) as temporary:
        np.save(temporary, decisions_NK)
    ids = predictions["id" if "id" in predictions.columns else "path"]
    text = io.StringIO()
    # a class may be called "id": no data frame holds two such columns
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", *_classes(predictions)])
    for name, error, row_K in zip(ids, predictions["error"], decisions_NK.tolist(), strict=True):
        rows.writerow([name, *(row_K if error is None else [""] * len(row_K))])
    write_text_atomic(path.with_suffix(".csv"), text.getvalue())


def _classes(predictions: pl.DataFrame) -> list[str]:
    return [
        name.removeprefix(PROBABILITY)
        for name in predictions.columns
        if name.startswith(PROBABILITY)
    ]
