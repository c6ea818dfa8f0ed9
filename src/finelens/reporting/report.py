"""The report: one self-contained HTML file that shows what a run learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finelens.evaluation.other_data import OtherData
from finelens.reporting.against_probe import hold_against_probe
from finelens.reporting.album import album_context
from finelens.reporting.best_checkpoints import best_checkpoints
from finelens.reporting.calibration_results import calibration_results
from finelens.reporting.cautions import FEW_POSITIVES, find_cautions
from finelens.reporting.chart import SERIES_INKS, Chart
from finelens.reporting.convergence import find_convergence
from finelens.reporting.early_stop import find_early_stop
from finelens.reporting.edited import edited_lead
from finelens.reporting.evidence import (
    Evidence,
    confusion,
    ranking_charts,
    read_evidence,
    reliability,
    sweep_charts,
)
from finelens.reporting.group_results import group_results
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.reporting.page import number, render_page
from finelens.reporting.record import (
    METRIC_WORDS,
    RunRecord,
    count_groups,
    interval_of,
    metric_of,
    read_record,
    widest_interval,
)
from finelens.reporting.run_facts import run_facts
from finelens.reporting.training_figures import learning_rate_chart, loss_chart, metric_chart
from finelens.runs.directory import RunDirectory, write_text_atomic

_LOGGED = ("accuracy", "example.f1", "macro.f1", "micro.f1", "mean_average_precision", "roc_auc")
_FEWEST_FOR_TOP5 = 10
_SHOWN_ELSEWHERE = ("bad_files", "classes", "group_note", "notes")
_EQUAL_TO_ACCURACY = ("example.", "micro.")


def write_report(run: RunDirectory, *, splits: Sequence[str] | None = None) -> Path:
    """Return the path of the report written from a run's files.

    Reads nothing but the run directory and, for thumbnails, the pictures and clips its scores
    name; one that is gone shows as a blank. The same files give the same bytes.

    Args:
        run: A run whose splits have been evaluated.
        splits: The evaluated splits to report, the one whose pictures and curves are shown
            first; None: all, test first.

    Raises:
        RunError: If a file of the run is missing or broken, or a split was not evaluated.
    """
    record = read_record(run, splits=splits)
    evidence = {
        split: read_evidence(run, split, record.task, record.decision) for split in record.metrics
    }
    context = report_context(record, evidence)
    write_text_atomic(run.report, render_page("report.html.jinja", context))
    return run.report


def report_context(record: RunRecord, evidence: Mapping[str, Evidence]) -> dict[str, Any]:
    """Return everything that the report's template shows."""
    shown = evidence[record.shown_split]
    is_multi_label = record.task.is_multi_label
    context = {
        "name": record.run.root.resolve().name,
        "split": record.shown_split,
        "is_multi_label": is_multi_label,
        "noun": record.noun,
        "classes": record.task.classes,
        "cautions": find_cautions(record),
        "training": _training_charts(record),
        "best_checkpoints": best_checkpoints(record),
        "learning_rate": _learning_rate(record),
        "sweeps": _sweeps(evidence, record.noun),
        "groups": group_results(record, evidence),
        "curves": ranking_charts(shown),
        "confusion": None if is_multi_label else confusion(shown),
        "reliability": reliability(shown),
        "temperature": record.decision.temperature,
        "recipe_text": record.run.recipe.read_text(encoding="utf-8"),
        "environment": list(_flat(record.environment)),
    }
    for part in (_summary, _sources, _classes, _words):
        context |= part(record)
    chosen_on = _chosen_on(record) or "the validation split"
    context |= calibration_results(record, chosen_on=chosen_on)
    context |= album_context(record, evidence)
    return context | {"sections": _sections(context)}


def _summary(record: RunRecord) -> dict[str, Any]:
    shown = record.metrics[record.shown_split]
    tiles = [
        {"words": METRIC_WORDS[name], "value": metric_of(shown, name),
         "interval": widest_interval(shown, name)[0],
         "drawn_by": _drawn_by(record, name)}
        for name in METRIC_SETS[record.main_metric].tiles
        if metric_of(shown, name) is not None and _is_headline(record, name)
    ]  # fmt: skip
    figures = [
        {"words": words, "cells": [
            {"value": metric_of(metrics, name), "interval": interval_of(metrics, name)}
            for metrics in record.metrics.values()
        ]}
        for name, words in METRIC_WORDS.items()
        if (record.decision.only_highest or not _repeats_accuracy(record, name))
        and _is_known(record, name)
    ]  # fmt: skip
    splits = [
        {"name": split, "num_examples": metrics["num_examples"]}
        for split, metrics in record.metrics.items()
    ]
    return {"tiles": tiles, "figures": figures, "versus": hold_against_probe(record),
            "versus_words": METRIC_WORDS[record.main_metric], "splits": splits,
            "facts": run_facts(record)}  # fmt: skip


def _sources(record: RunRecord) -> dict[str, Any]:
    """Return where evaluated data lie that are no split of the run's own."""
    known = {split: OtherData.of_metrics(metrics) for split, metrics in record.metrics.items()}
    return {
        "sources": [
            {"name": name, "words": other_data.source(record.noun)}
            for name, other_data in known.items()
            if other_data is not None
        ]
    }


def _drawn_by(record: RunRecord, name: str) -> str:
    shown = record.metrics[record.shown_split]
    if count_groups(shown) is None:
        return ""
    return " by groups" if widest_interval(shown, name)[1] else f" by {record.noun}s"


def _training_charts(record: RunRecord) -> list[Chart]:
    history = record.history
    if not history.num_epochs:
        return []
    # the metric that chose the weights comes first: its curve carries the marks
    first = next(
        (name for name in METRIC_WORDS if name.replace(".", "_") == record.followed_metric),
        record.main_metric,
    )
    stop = find_early_stop(record)
    stopped_by = [name for name in METRIC_WORDS if stop and name.replace(".", "_") == stop.metric]
    logged = dict.fromkeys((first, *stopped_by, record.main_metric, *_LOGGED))
    names = {
        name.replace(".", "_"): METRIC_WORDS[name]
        for name in logged
        if history.of("val", name.replace(".", "_")) and not _repeats_accuracy(record, name)
    }
    charts = [loss_chart(history, stop=stop)]
    if names:
        shown = dict(list(names.items())[: len(SERIES_INKS)])
        converged = find_convergence(record)
        charts.append(
            metric_chart(
                history,
                shown,
                best_epoch=record.kept_epoch,
                converged_epoch=converged.epoch if converged else None,
                stop=stop,
            )
        )
    return charts


def _learning_rate(record: RunRecord) -> Chart | None:
    is_logged = bool(record.history.of("train", "learning_rate"))
    return learning_rate_chart(record.history) if is_logged else None


def _sweeps(evidence: Mapping[str, Evidence], noun: str) -> list[Chart]:
    # the split they were chosen on comes first
    order = sorted(evidence, key=lambda split: split != "val")
    return [chart for split in order for chart in sweep_charts(evidence[split], noun)]


def _classes(record: RunRecord) -> dict[str, Any]:
    trained = record.counts.train_by_class if record.counts else {}
    rows = [
        dict(row)
        | {"is_few": row["positives"] < FEW_POSITIVES, "train": trained.get(row["name"], 0)}
        for row in record.metrics[record.shown_split]["per_class"]
    ]
    order = sorted(enumerate(record.task.classes), key=lambda item: item[1])
    return {
        "per_class": rows,
        "has_train_counts": bool(trained),
        "has_thresholds": record.decision.thresholds is not None,
        "curve_classes": order,
    }  # fmt: skip


def _words(record: RunRecord) -> dict[str, Any]:
    kind = "any number of them" if record.task.is_multi_label else "one of them"
    classes = record.task.num_classes
    about = f"{record.model.get('backbone')} on {classes} classes, {kind} in a {record.noun}"
    if record.counts:
        sizes = (f"{number(n, 0)} {split}" for split, n in record.counts.by_split.items())
        about += f" · {' / '.join(sizes)} {record.noun}s"
    shown = record.metrics[record.shown_split]
    return {
        "about": about,
        "summary_lead": f"On {number(shown['num_examples'], 0)} {record.shown_split} "
        f"{record.noun}s.",
        "training_lead": _training_lead(record),
        "thresholds_lead": _thresholds_lead(record),
        "faded_words": _faded_words(record),
    }


def _faded_words(record: RunRecord) -> str:
    if record.task.is_multi_label:
        return "the probability is too low"
    if record.decision.only_highest:
        return "another class ranks higher or the probability is too low"
    return "another class ranks higher"


def _training_lead(record: RunRecord) -> str:
    num_epochs, num_phases = record.history.num_epochs, len(record.history.phases)
    stop = find_early_stop(record)
    lead = (
        f"{num_epochs} {'epoch' if num_epochs == 1 else 'epochs'} in {num_phases} "
        f"{'phase' if num_phases == 1 else 'phases'}."
    )
    borders = "Dotted lines are the borders between phases." if num_phases > 1 else ""
    return " ".join(words for words in (lead, stop.words if stop else "", borders) if words)


def _thresholds_lead(record: RunRecord) -> str:
    decision = record.decision
    if decision.edit is not None:
        return edited_lead(decision, record.task)
    if decision.thresholds is None:
        return (
            "The model always names the most probable class. Here it says nothing where that "
            "class is below a threshold."
        )
    scope = "one for each class" if decision.scope == "per_class" else "one for all classes"
    goal = (
        "fixed"
        if decision.goal == "fixed"
        else (f"chosen for {decision.goal.replace('f1', 'F1')} on {_chosen_on(record)}")
    )
    return (
        f"The model decides by thresholds, {scope}, {goal}. "
        "Here one threshold moves for all classes."
    )


def _chosen_on(record: RunRecord) -> str:
    # "val (300 pictures)", whatever they are
    return record.decision.chosen_on.replace("picture", record.noun)


def _sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    every = (
        ("summary", "Summary", True),
        ("training", "Training", context["training"]),
        ("classes", "Classes", True),
        ("confusion", "Confusion", context["confusion"]),
        ("groups", "Groups", context["groups"]),
        ("thresholds", "Thresholds", True),
        ("curves", "PR and ROC", True),
        ("calibration", "Calibration", True),
        ("gallery", "Top-ranked", True),
        ("mistakes", "Mistakes", True),
        ("unreadable", "Unreadable", context["bad_files"]),
        ("torn", "Not whole", context["torn_files"]),
        ("run", "Recipe", True),
    )
    return [(anchor, words) for anchor, words, is_shown in every if is_shown]


def _is_headline(record: RunRecord, name: str) -> bool:
    # of few classes, five guesses say little
    return name != "top5_accuracy" or record.task.num_classes >= _FEWEST_FOR_TOP5


def _is_known(record: RunRecord, name: str) -> bool:
    return any(metric_of(metrics, name) is not None for metrics in record.metrics.values())


def _repeats_accuracy(record: RunRecord, name: str) -> bool:
    # where every example has one class and gets one, these averages all are the accuracy
    return not record.task.is_multi_label and name.startswith(_EQUAL_TO_ACCURACY)


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if key in _SHOWN_ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            spoken = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((f"{prefix}{key}", "–" if value is None else spoken))
    return rows
