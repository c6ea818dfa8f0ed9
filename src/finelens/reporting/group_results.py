"""The results per group: how uneven a model is over recordings, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finelens.reporting.evidence import Evidence
from finelens.reporting.page import number, percent
from finelens.reporting.record import METRIC_WORDS, RunRecord, interval_of, metric_of
from finelens.reporting.verdict import SIGNIFICANT, tell_p

MOST_GROUPS = 12
MOST_LABELS = 3
FEW_GROUPS = 20
_FIGURE_METRICS = {"accuracy": "accuracy", "example_f1": "example.f1"}


def group_results(record: RunRecord, evidence: Mapping[str, Evidence]) -> list[dict[str, Any]]:
    """Return what the page shows of each evaluated split that has groups."""
    return [
        _of_split(record, evidence[split])
        for split, metrics in record.metrics.items()
        if metrics.get("groups")
    ]


def groups_caution(record: RunRecord) -> str | None:
    """Return the sentence on an interval that is too narrow for grouped examples, or None.

    Spoken where drawing whole groups makes the interval of the shown split's main metric wider by
    a quarter or more.
    """
    metrics = record.metrics[record.shown_split]
    by_group, ordinary = (
        interval_of(of, record.main_metric) for of in (metrics.get("groups") or {}, metrics)
    )
    if by_group is None or ordinary is None:
        return None
    if by_group[1] - by_group[0] < 1.25 * (ordinary[1] - ordinary[0]):
        return None
    return (
        f"{record.noun.capitalize()}s of one group are alike, which the intervals in "
        f"brackets leave out: drawn by whole groups, that of {METRIC_WORDS[record.main_metric]} is "
        f"{percent(by_group[0])} to {percent(by_group[1])}."
    )


def _of_split(record: RunRecord, evidence: Evidence) -> dict[str, Any]:
    metrics = record.metrics[evidence.split]
    summary, table = metrics["groups"], evidence.evaluation.groups
    metric = _FIGURE_METRICS[summary["figure"]]
    names = dict.fromkeys((record.main_metric, metric))
    return {
        "split": evidence.split,
        "figure": METRIC_WORDS[metric],
        "rows": [
            {"group": row["group"], "num_examples": row["num_examples"],
             "labels": _told_labels(row["labels"]), "value": row[summary["figure"]]}
            for row in table.head(MOST_GROUPS).iter_rows(named=True)
        ],
        "cut": _cut(table[summary["figure"]].to_list(), METRIC_WORDS[metric], evidence.split),
        "evenness": _evenness(record, summary, METRIC_WORDS[metric]),
        "intervals": [
            {"words": METRIC_WORDS[name], "value": metric_of(metrics, name),
             "ordinary": interval_of(metrics, name), "by_group": interval_of(summary, name)}
            for name in names
        ],
        "few": _few(summary["num_groups"] + summary["num_without_group"]),
    }  # fmt: skip


def _told_labels(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_LABELS
    told = ", ".join(labels[:MOST_LABELS]) or "none"
    return f"{told} and {more} more" if more > 0 else told


def _cut(values: Sequence[float], words: str, split: str) -> str:
    """Return the sentence on the groups that the table leaves out, best of all last, or nothing."""
    others = values[MOST_GROUPS:]
    if not others:
        return ""
    reach = percent(others[0])
    if others[-1] != others[0]:
        reach += f" to {percent(others[-1])}"
    return (
        f"The worst {MOST_GROUPS} of {len(values)} groups; {words} of the other {len(others)} is "
        f"{reach}. evaluation/{split}/groups.parquet has all."
    )


def _evenness(record: RunRecord, summary: Mapping[str, Any], words: str) -> str:
    """Return the sentences on how far groups lie apart, and how far chance alone puts them."""
    num_groups, alone = summary["num_groups"], summary["num_without_group"]
    left_out = f" {number(alone, 0)} {record.noun}s have no group." if alone else ""
    if summary["deviation"] is None:
        return f"All are of one group, of which nothing follows for another.{left_out}"
    return (
        f"Over {number(num_groups, 0)} groups {words} is {percent(summary['mean'])} on average, "
        f"each group counting once, with a deviation of {100 * summary['deviation']:.1f} points "
        f"between groups. {_held_against_chance(record, summary)}{left_out}"
    )


def _held_against_chance(record: RunRecord, summary: Mapping[str, Any]) -> str:
    p_value = summary["p_value"]
    if p_value is None:
        return (
            f"No class has {record.noun}s in two groups, so that what the groups do and what the "
            "classes do cannot be told apart."
        )
    alike = "alike" if record.task.is_multi_label else "alike on every class"
    verdict = "more than" if p_value < SIGNIFICANT else "no more than"
    return (
        f"Were all groups {alike}, chance would make it about "
        f"{100 * summary['deviation_by_chance']:.1f}: they lie apart by {verdict} chance "
        f"explains ({tell_p(p_value)})."
    )


def _few(num_groups: int) -> str:
    if num_groups >= FEW_GROUPS or num_groups < 2:
        return ""
    return (
        f"With only {num_groups} groups, even the interval by groups is rough, and more likely "
        "too narrow than too wide."
    )
