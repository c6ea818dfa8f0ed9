"""The edited decision, in words: which thresholds a person set, and what the others are."""

from __future__ import annotations

from finelens.decision import Decision, Edit
from finelens.task import Task

_MOST_NAMES = 8


def edited_lead(decision: Decision, task: Task) -> str:
    """Return what a reader is told of thresholds, some of which were set by hand."""
    edit = decision.edit
    assert edit is not None
    if decision.only_highest:
        how = (
            "The model names the most probable class where it reaches its threshold, and otherwise "
            "nothing; the confusion leaves such pictures out."
        )
        others = "The others are 0."
    else:
        how = "The model decides by thresholds."
        goal = decision.goal.replace("f1", "F1")
        chosen = "fixed" if goal == "fixed" else f"chosen for {goal} on {decision.chosen_on}"
        others = f"The others were {chosen}."
    is_all = len(edit.classes) == task.num_classes
    sentences = (how, _by_hand(edit, is_all=is_all), "" if is_all else others,
                 "Here one threshold moves for all classes.")  # fmt: skip
    return " ".join(sentence for sentence in sentences if sentence)


def _by_hand(edit: Edit, *, is_all: bool) -> str:
    day = edit.at[:10]
    if is_all:
        return f"All were set by hand, last on {day}."
    if len(edit.classes) == 1:
        return f"That of {edit.classes[0]} was set by hand, on {day}."
    names = ", ".join(edit.classes[:_MOST_NAMES])
    more = len(edit.classes) - _MOST_NAMES
    names += f" and {more} more" if more > 0 else ""
    return f"Those of {names} were set by hand, last on {day}."
