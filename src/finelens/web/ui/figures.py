"""The figures of thresholds: averages, one class's confusion, a row a class. As HTML."""

from __future__ import annotations

from html import escape

import numpy as np

from finelens.evaluation.what_if import Outcome
from finelens.task import Task
from finelens.web.ui.parts import table

MOST_CONFUSED = 20
"""Classes up to which a multi-class confusion is shown whole."""

_AVERAGES = {"example": "over {medium}", "macro": "over classes", "micro": "all pooled"}
_NAMES = ("precision", "recall", "f1")
_SAME = 5e-4


def averages(now: Outcome, saved: Outcome, medium: str) -> str:
    """Return precision, recall and F1 averaged in three ways, and how far they moved.

    Args:
        now: By the thresholds as they stand.
        saved: By those of the model.
        medium: What examples are called: pictures or clips.
    """
    rows = [
        (
            words.format(medium=medium),
            *(
                _moved(now.averages[f"{kind}_{name}"], saved.averages[f"{kind}_{name}"])
                for name in _NAMES
            ),
        )
        for kind, words in _AVERAGES.items()
    ]
    wholly = _moved(now.averages["accuracy"], saved.averages["accuracy"])
    headings = ("Averaged", "Precision", "Recall", "F1")
    return (
        f"{table(headings, rows, kind='fl-averages')}"
        f'<p class="fl-said">Wholly right: {wholly} of the {medium}</p>'
    )


def class_confusion(now: Outcome, task: Task, class_name: str) -> str:
    """Return the four counts of a class."""
    (rest, wrong), (missed, right) = now.confusion_K22[task.index(class_name)].tolist()
    rows = [
        ("is there", f"<strong>{right}</strong> right", f"<strong>{missed}</strong> missed"),
        ("is not", f"<strong>{wrong}</strong> wrong", f"<strong>{rest}</strong> right"),
    ]
    return table(("", "said", "not said"), rows, caption=class_name, kind="fl-confusion")


def confusion(now: Outcome, task: Task) -> str:
    """Return the whole confusion of one of many, or nothing where there is none or it is large."""
    if now.confusion is None or task.num_classes > MOST_CONFUSED:
        return ""
    highest = max(1, int(now.confusion.max()))
    rows = [
        (
            escape(name),
            *(
                f'<span class="fl-cell" style="--share:{count / highest:.3f}">{count or ""}</span>'
                for count in counts
            ),
        )
        for name, counts in zip(task.classes, now.confusion.tolist(), strict=True)
    ]
    caption = "Rows: what is there. Columns: what was said."
    return table(("", *task.classes, "nothing"), rows, caption=caption, kind="fl-whole")


def classes(now: Outcome, saved: Outcome, task: Task, chosen: str | None) -> str:
    """Return a row a class, which can be chosen; thresholds that moved are marked."""
    rows = []
    for k, name in enumerate(task.classes):
        current = ' aria-current="true"' if name == chosen else ""
        is_moved = now.thresholds_K[k] != saved.thresholds_K[k]
        (_, wrong), (missed, right) = now.confusion_K22[k].tolist()
        rows.append((
            f'<button type="button" data-choose="{escape(name)}"{current}>{escape(name)}</button>',
            f"{'● ' if is_moved else ''}{now.thresholds_K[k]:.3f}",
            *(_number(values_K[k]) for values_K in (now.precision_K, now.recall_K, now.f1_K)),
            *map(str, (right, wrong, missed)),
        ))  # fmt: skip
    headings = ("Class", "Threshold", "Precision", "Recall", "F1", "Right", "Wrong", "Missed")
    return table(headings, rows, kind="fl-classes")


def _moved(now: float, before: float) -> str:
    difference = now - before
    if np.isnan(difference) or abs(difference) < _SAME:
        return _number(now)
    arrow, kind = ("▲", "is-up") if difference > 0 else ("▼", "is-down")
    return f'{_number(now)} <small class="{kind}">{arrow} {abs(difference):.3f}</small>'


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
