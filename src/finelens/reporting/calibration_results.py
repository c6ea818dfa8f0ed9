"""The calibration results: what a report says of a run's probabilities, split by split."""

from __future__ import annotations

from typing import Any

from finelens.reporting.page import percent
from finelens.reporting.record import RunRecord, calibrates, metric_of


def calibration_results(record: RunRecord, *, chosen_on: str) -> dict[str, Any]:
    """Return the errors before and after scaling, and the words above and below them.

    Args:
        record: The run's.
        chosen_on: The split that its temperature was chosen on, in words.
    """
    rows = [
        {"split": split, "before": metric_of(metrics, "calibration.ece_before"),
         "after": metric_of(metrics, "calibration.ece_after")}
        for split, metrics in record.metrics.items()
    ]  # fmt: skip
    question = "When the model says 80%, is it right eight times in ten?"
    if not calibrates(record):
        lead = f"{question} This recipe does not calibrate: nothing was done to make it so."
        return {"calibration": rows, "calibration_lead": lead, "calibration_worse": ""}
    return {
        "calibration": rows,
        "calibration_lead": f"{question} Its temperature was chosen on {chosen_on}.",
        "calibration_worse": _worse(rows),
    }


def _worse(rows: list[dict[str, Any]]) -> str:
    """Return what is told where scaling raised the error, as far as the page shows it."""
    told = [
        f"{row['split']} ({percent(row['before'])} to {percent(row['after'])})"
        for row in rows
        if None not in row.values() and round(row["after"] - row["before"], 3) > 0
    ]
    if not told:
        return ""
    return (
        f"Scaling made it worse on {', '.join(told)}: the temperature was chosen for the "
        "likelihood on validation, which this error need not follow."
    )
