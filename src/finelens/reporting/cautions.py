"""Cautions: what a reader should know before believing a run's figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from finelens.data.audit import IMBALANCED
from finelens.data.media import counted
from finelens.evaluation.other_data import OtherData
from finelens.reporting.against_probe import hold_against_probe, kept_probe_sentence
from finelens.reporting.group_results import groups_caution
from finelens.reporting.record import (
    METRIC_WORDS,
    RunRecord,
    calibrates,
    count_groups,
    interval_of,
    logged_words,
    metric_of,
)

FEW_POSITIVES = 10
FEW_PICTURES = 100
FEW_GROUPS = 8
_LARGE_GAP = 0.05
_LARGE_CALIBRATION_ERROR = 0.10


def find_cautions(record: RunRecord) -> list[str]:
    """Return the sentences of all cautions that a run gives rise to, the gravest first."""
    return [caution for find in CAUTIONS for caution in find(record)]


def _not_held_out(record: RunRecord) -> list[str]:
    split = record.shown_split
    if split == "train":
        return [
            f"These figures are on the training {record.noun}s themselves: they say nothing of "
            "new ones."
        ]
    if split == "val":
        return [
            "There are no test figures: the epoch, the temperature and the thresholds were chosen "
            f"on these validation {record.noun}s, so the figures are somewhat too good."
        ]
    return []


def _known_already(record: RunRecord) -> list[str]:
    return [
        f"{name}: {caution}."
        for name, metrics in record.metrics.items()
        if (other_data := OtherData.of_metrics(metrics)) is not None
        for caution in other_data.cautions(record.noun)
    ]


def _below_probe(record: RunRecord) -> list[str]:
    kept = kept_probe_sentence(record)
    if kept is not None:
        return [kept]
    held = hold_against_probe(record)
    if held is None or held.is_tuned_better:
        return []
    return [
        f"Fine-tuning did not beat the probe on validation ({held.tuned:.1%} against "
        f"{held.probe:.1%}): the backbone's features as they are serve as well."
    ]


def _gap_to_validation(record: RunRecord) -> list[str]:
    if "val" not in record.metrics or "test" not in record.metrics:
        return []
    name = record.main_metric
    val, test = (metric_of(record.metrics[split], name) for split in ("val", "test"))
    if val is None or test is None or val - test < _LARGE_GAP:
        return []
    val_interval, test_interval = (
        interval_of(record.metrics[split], name) for split in ("val", "test")
    )
    if val_interval and test_interval and val_interval[0] <= test_interval[1]:
        return []
    return [
        f"Test {METRIC_WORDS[name]} is {(val - test) * 100:.1f} points below validation "
        f"({test:.1%} against {val:.1%}), more than chance explains: do the test {record.noun}s "
        f"come from elsewhere, or were choices fitted to the validation {record.noun}s?"
    ]


def _gap_to_training(record: RunRecord) -> list[str]:
    # mean average precision is not measured while training
    name = next((one for one in (record.main_metric, "example_f1")
                 if record.history.of("train", one)), record.main_metric)  # fmt: skip
    epoch = record.kept_epoch
    train, val = (record.history.of(split, name).at(epoch) for split in ("train", "val"))
    if train is None or val is None or train - val < 2 * _LARGE_GAP:
        return []
    return [
        f"Training {logged_words(name)} is {(train - val) * 100:.1f} points above validation "
        f"({train:.1%} against {val:.1%}): the model knows its training {record.noun}s by heart; "
        f"more {record.noun}s or stronger augmentation may help."
    ]


def _still_improving(record: RunRecord) -> list[str]:
    last = record.history.num_epochs
    if last < 2 or record.kept_epoch != last:
        return []
    return [f"Validation was best after the last epoch ({last}): longer training may do better."]


def _few_positives(record: RunRecord) -> list[str]:
    rows = record.metrics[record.shown_split]["per_class"]
    few = [row for row in rows if row["positives"] < FEW_POSITIVES]
    if not few:
        return []
    told = ", ".join(f"{row['name']} ({row['positives']})" for row in few[:12])
    more = f" and {len(few) - 12} more" if len(few) > 12 else ""
    verb = "class has" if len(few) == 1 else "classes have"
    return [
        f"{len(few)} {verb} fewer than {FEW_POSITIVES} {record.shown_split} {record.noun}s, so "
        f"their own figures are little more than anecdotes: {told}{more}."
    ]


def _few_groups(record: RunRecord) -> list[str]:
    counts = {
        split: count_groups(metrics)
        for split, metrics in record.metrics.items()
        if split != "train"
    }
    few = {split: count for split, count in counts.items() if count and count < FEW_GROUPS}
    if not few:
        return []
    nouns = "recordings" if record.noun == "clip" else "groups"
    first, *others = sorted(few, key=lambda split: split != "val")
    told = ", ".join([counted(few[first], nouns), *(f"{one} {few[one]}" for one in others)])
    return [f"{first} has {told}: the figures may change with other {nouns}."]


def _few_pictures(record: RunRecord) -> list[str]:
    count = record.metrics[record.shown_split]["num_examples"]
    if count >= FEW_PICTURES:
        return []
    return [f"Only {count} {record.shown_split} {record.noun}s: see how wide the intervals are."]


def _poor_calibration(record: RunRecord) -> list[str]:
    calibration = record.metrics[record.shown_split].get("calibration") or {}
    error = calibration.get("ece_after")
    if error is None or error < _LARGE_CALIBRATION_ERROR:
        return []
    after = (
        "even after calibration"
        if calibrates(record)
        else "and this recipe does not calibrate them"
    )
    return [
        f"Probabilities are off by {error:.1%} on average, {after}: use them to rank, not as "
        "chances."
    ]


def _empty_classes(record: RunRecord) -> list[str]:
    counts = record.counts.train_by_class if record.counts else {}
    absent = [name for name in record.task.classes if not counts.get(name)]
    if not counts or not absent:
        return []
    names = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
    have = "class has" if len(absent) == 1 else "classes have"
    return [
        f"{len(absent)} {have} no training {record.noun}, so nothing was learned of them: {names}."
    ]


def _imbalanced(record: RunRecord) -> list[str]:
    counts = record.counts.train_by_class if record.counts else {}
    weights = (record.recipe.get("loss") or {}).get("class_weights", "none")
    # the figures of multi-label data count every class alike, and few positives have their caution
    if record.task.is_multi_label or weights != "none" or not counts:
        return []
    most, least = (choose(counts, key=counts.__getitem__) for choose in (max, min))
    if counts[most] < IMBALANCED * counts[least]:
        return []
    macro_f1 = metric_of(record.metrics[record.shown_split], "macro.f1")
    figure = "" if macro_f1 is None else f", of which macro F1 ({macro_f1:.1%}) is the mean"
    return [
        f"{most} has {counts[most] / counts[least]:.1f} x the training {record.noun}s of {least}, "
        f"and accuracy hides how rare classes do: see the figures per class{figure}. The recipe "
        "can weigh them: loss.class_weights balanced."
    ]


def _without_groups(record: RunRecord) -> list[str]:
    note = record.environment.get("group_note")
    return [f"{note}."] if note else []


def _left_out(record: RunRecord) -> list[str]:
    told = []
    metrics = record.metrics[record.shown_split]
    unreadable = metrics.get("num_unreadable") or 0
    if unreadable:
        told.append(
            f"{_files(unreadable, record.shown_split)} could not be read, and so not scored."
        )
    unlabelled = metrics.get("num_without_labels") or 0
    if unlabelled:
        told.append(
            f"{_files(unlabelled, record.shown_split, record.noun)} without any true class: the "
            "example-averaged precision, recall and F1 count each as 0."
        )
    bad = record.summary.get("num_bad_files") or 0
    if bad:
        told.append(f"{_files(bad, 'unreadable')} left out of the data, as listed below.")
    torn = len(record.environment.get("notes") or {})
    if torn:
        told.append(
            f"{_files(torn, 'cut-off, damaged or incomplete', record.noun)} took part with the "
            "frames that could be read, as listed below."
        )
    return told


def _files(number: int, kind: str, noun: str = "file") -> str:
    return f"{number} {kind} {noun}{'' if number == 1 else 's'}"


def _alike_in_groups(record: RunRecord) -> list[str]:
    caution = groups_caution(record)
    return [caution] if caution else []


CAUTIONS: Sequence[Callable[[RunRecord], list[str]]] = (
    _not_held_out,
    _known_already,
    _gap_to_validation,
    _below_probe,
    _gap_to_training,
    _empty_classes,
    _imbalanced,
    _few_groups,
    _alike_in_groups,
    _without_groups,
    _few_pictures,
    _few_positives,
    _left_out,
    _poor_calibration,
    _still_improving,
)
