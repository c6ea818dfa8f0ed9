"""Predictions: what a model finds in pictures, whether or not anybody knows what is there."""

from __future__ import annotations

import polars as pl

from finelens.decision import Decision
from finelens.evaluation.scores import Scores
from finelens.evaluation.targets import labelled_rows

PROBABILITY = "probability."
"""What the name of a class's column begins with."""


def predictions_table(
    scores: Scores, decision: Decision, *, with_truth: bool = False
) -> pl.DataFrame:
    """Return one row for every picture, in the order of the scores.

    Columns: ``id``, ``path``, ``labels`` (the classes decided on; null for an unreadable
    picture), ``error`` (why it is unreadable, else null), of clips ``note`` (what a person should
    know of the file, such as that it is cut off), then ``probability.<class>`` for each class:
    calibrated, in [0, 1].

    Args:
        scores: What the model said.
        decision: How yes is said.
        with_truth: Whether ``true_labels`` follows ``labels``: the classes that are true; null
            where nobody knows.
    """
    task = scores.task
    probabilities_NK = decision.probabilities(task, scores.logits_NK)
    decisions_NK = decision.decide(probabilities_NK)
    labels = [
        None if error else task.names(row)
        for row, error in zip(decisions_NK, scores.errors, strict=True)
    ]
    table = pl.DataFrame(
        {"id": scores.ids, "path": scores.paths, "labels": labels, "error": scores.errors},
        schema={
            "id": pl.String,
            "path": pl.String,
            "labels": pl.List(pl.String),
            "error": pl.String,
        },
    )
    if with_truth:
        true_labels = [
            task.names(row) if is_known else None
            for row, is_known in zip(
                scores.targets_NK == 1, labelled_rows(scores.targets_NK), strict=True
            )
        ]
        column = pl.Series("true_labels", true_labels, dtype=pl.List(pl.String))
        table.insert_column(table.get_column_index("labels") + 1, column)
    if scores.notes is not None:
        table = table.with_columns(note=pl.Series(scores.notes, dtype=pl.String))
    columns = [
        pl.Series(f"{PROBABILITY}{name}", probabilities_NK[:, k]).fill_nan(None)
        for k, name in enumerate(task.classes)
    ]
    return table.with_columns(columns)
