"""The comparison: several runs in one honest table, tested against one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from finelens.errors import RunError
from finelens.evaluation.other_data import OtherData
from finelens.reporting.chart import SERIES_INKS, Chart
from finelens.reporting.comparability import find_differences
from finelens.reporting.comparison_figures import intervals_chart, roc_runs_chart, runs_chart
from finelens.reporting.comparison_table import (
    comparison_table,
    is_measured_while_training,
    shown_columns,
)
from finelens.reporting.evidence import MOST_CLASS_CURVES, read_evidence
from finelens.reporting.figures import Line
from finelens.reporting.metric_sets import METRIC_SETS
from finelens.reporting.pairing import judge, pairs_table
from finelens.reporting.record import (
    METRIC_WORDS,
    RunRecord,
    augments,
    interval_of,
    metric_of,
    read_record,
)
from finelens.reporting.run_curves import RunCurves, run_curves
from finelens.reporting.shared_names import share_names
from finelens.reporting.verdict import Contender, best_of, tell_verdict
from finelens.runs.directory import RunDirectory

_HEADLINE_COST = (
    "training_minutes", "scoring_ms_per_picture", "parameters", "epochs",
    "epochs_to_convergence", "iterations_to_convergence",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        table: One row a run, in the order given: run, backbone, ``<split>_<metric>`` columns in
            [0, 1] with ``_low`` and ``_high`` ends of the compared split's 95 % intervals,
            parameters, times; null where a run has no such figure.
        split: The split that is compared.
        metric: The metric that the runs are judged by.
        warnings: What keeps the rows from being comparable; empty when nothing does.
        charts: The main metric with its intervals, and its error over epochs.
        pairs: Every two runs tested on the pictures they share, as ``pairing.pairs_table``
            gives it.
        verdict: What the tests and the training times say, in a sentence; empty for one run.
        notes: What a reader should know of the figures.
        roc: The ROC curves of the runs, or None where none has any.
        classes: Names of the classes whose curves ``roc`` holds, in class order.
        noun: What the runs' examples are called: ``picture`` or ``clip``.
    """

    table: pl.DataFrame
    split: str
    metric: str
    warnings: tuple[str, ...]
    charts: tuple[Chart, ...]
    pairs: pl.DataFrame
    verdict: str
    notes: tuple[str, ...]
    roc: Chart | None
    classes: tuple[str, ...]
    noun: str

    @property
    def headline(self) -> pl.DataFrame:
        """Return what fits a terminal: figures on the compared split and on train, the cost.

        Of clips the columns speak of clips.
        """
        groups = shown_columns(self.split, self.metric)
        splits = dict.fromkeys((self.split, "train"))
        figures = (column.name for split in splits for column in groups[split])
        chosen = ("run", "backbone", *figures, *_HEADLINE_COST)
        return self.table.select(
            [
                pl.col(name).alias(name.replace("per_picture", f"per_{self.noun}"))
                for name in chosen
                if name in self.table.columns
            ]
        )


def compare_runs(runs: Sequence[RunDirectory], split: str = "val") -> Comparison:
    """Return the comparison of runs that were evaluated on a split.

    Figures on train come from its evaluation, or else from the log: those of the epoch whose
    weights were kept. Runs with other classes, pictures or labels are compared all the same,
    and warned of; they are tested only on the pictures that they share with equal labels.

    Raises:
        RunError: If there are no runs, a run is given twice, or one was not evaluated on the
            split.
    """
    if not runs:
        raise RunError("there are no runs to compare; give at least one run folder")
    places = [run.root.resolve() for run in runs]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise RunError(f"run {twice} is given twice; name each run once")
    for run in runs:
        if split not in run.evaluated_splits:
            read_record(run, splits=[split])  # raises, naming the evaluated ones
    records = [read_record(run) for run in runs]
    return _compare(_names(places), records, split)


def _compare(names: list[str], records: list[RunRecord], split: str) -> Comparison:
    evidence = [
        read_evidence(record.run, split, record.task, record.decision) for record in records
    ]
    named = share_names([one.scores for one in evidence])
    evidence = [
        replace(one, scores=of_run.scores) for one, of_run in zip(evidence, named, strict=True)
    ]
    metric, task, noun = records[0].main_metric, records[0].task, records[0].noun
    contenders = [
        _contender(name, record, split, metric) for name, record in zip(names, records, strict=True)
    ]
    curves = dict(zip(names, (run_curves(one, task) for one in evidence), strict=True))
    micro = [of_run.micro_area for of_run in curves.values()]
    pairs = pairs_table(
        [judge(name, one) for name, one in zip(names, evidence, strict=True)],
        best_of(contenders).name,
    )
    return Comparison(
        table=comparison_table(names, records, split).with_columns(
            pl.Series(f"{split}_micro_roc_auc", micro, dtype=pl.Float64)
        ),
        split=split,
        metric=metric,
        warnings=tuple(find_differences(names, records, named, split)),
        charts=tuple(_charts(names, records, split, metric)),
        pairs=pairs,
        verdict=tell_verdict(contenders, pairs, METRIC_SETS[metric].in_verdict, noun=noun),
        notes=tuple(_notes(names, records, split)),
        roc=_roc(curves, split, best_of(contenders).name),
        classes=task.classes[:MOST_CLASS_CURVES],
        noun=noun,
    )


def _contender(name: str, record: RunRecord, split: str, metric: str) -> Contender:
    return Contender(
        name=name,
        figure=metric_of(record.metrics[split], metric),
        minutes=record.summary.get("training_minutes"),
        device=record.environment.get("device"),
        epochs=record.history.num_epochs,
    )


def _notes(names: Sequence[str], records: Sequence[RunRecord], split: str) -> list[str]:
    notes, noun = [], records[0].noun
    if split == "val":
        notes.append(
            f"Epochs, temperatures and thresholds were chosen on the validation {noun}s, so the "
            "figures on them are somewhat too good, for every run."
        )
    elif split == "train":
        notes.append(f"Figures on the training {noun}s say nothing of new ones.")
    for name, record in zip(names, records, strict=True):
        other_data = OtherData.of_metrics(record.metrics[split])
        cautions = [] if other_data is None else other_data.cautions(noun)
        notes += [f"{name}, {split}: {caution}." for caution in cautions]
    logged = [
        name
        for name, record in zip(names, records, strict=True)
        if is_measured_while_training(record)
    ]
    if logged:
        whose = "" if len(logged) == len(names) else f" of {', '.join(logged)}"
        views = f" on augmented {noun}s," if any(map(augments, records)) else ""
        notes.append(
            f"Figures on train{whose} were measured while training,{views} in the "
            "epoch whose weights were kept; finelens evaluate RUN --split train gives those of "
            "the finished model."
        )
    if any(record.metrics[split].get("groups") for record in records):
        notes.append(
            f"{noun.capitalize()}s of one group (a recording) are alike. The tests take whole "
            "groups: the bootstrap draws them, and in place of McNemar's test the signs of their "
            "differences are flipped, by which fewer than six groups can never differ "
            f"significantly. The intervals of each run's figures take every {noun} for one of its "
            f"own, so they are surer than {noun}s of new groups would bear out; each run's report "
            "has those by groups."
        )
    return notes


def _charts(
    names: Sequence[str], records: Sequence[RunRecord], split: str, metric: str
) -> list[Chart]:
    words = METRIC_WORDS[metric]
    figures = [
        (name, value, interval_of(record.metrics[split], metric))
        for name, record in zip(names, records, strict=True)
        if (value := metric_of(record.metrics[split], metric)) is not None
    ]
    curves = {}
    for name, record in zip(names, records, strict=True):
        series = record.history.of("val", metric)
        curves[name] = Line(series.epochs, [1 - value for value in series.values])
    charts = (
        [intervals_chart(figures, title=f"{split.capitalize()} {words}", noun=records[0].noun)]
        if figures
        else []
    )
    if any(line.x for line in curves.values()):
        charts.append(runs_chart(curves, title=f"Validation error (1 − {words})"))
    return charts


def _roc(curves: Mapping[str, RunCurves], split: str, best: str) -> Chart | None:
    most = len(SERIES_INKS)
    shown = list(curves)[:most]
    if best not in shown:
        shown[-1] = best
    drawn = {name: curves[name] for name in shown if curves[name].macro.x}
    note = f"{most} of {len(curves)} runs, the best among them." if len(curves) > most else ""
    title = f"{split.capitalize()} ROC"
    return roc_runs_chart(drawn, title=title, note=note) if drawn else None


def _names(places: Sequence[Path]) -> list[str]:
    """Return the folders' names, or their paths where two are the same."""
    names = [place.name for place in places]
    return [
        name if names.count(name) == 1 else str(place)
        for name, place in zip(names, places, strict=True)
    ]
