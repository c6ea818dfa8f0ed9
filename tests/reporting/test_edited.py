import pytest

from finelens.decision import Decision
from finelens.reporting.edited import edited_lead
from finelens.task import Task, TaskKind

CLASSES = ("ball", "cat", "dog")
CHOSEN = Decision(1.1, (0.2, 0.3, 0.4), 0.3, "f1", "per_class", "val (9 pictures)")


def lead(*names, decision=CHOSEN, kind=TaskKind.MULTI_LABEL):
    task = Task(kind, CLASSES)
    edited = decision.edited(
        task, dict.fromkeys(names, 0.7), at="2026-03-04T05:06:07+00:00", previous=""
    )
    return edited_lead(edited, task)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("cat",), "That of cat was set by hand, on 2026-03-04. The others were chosen for F1 on "
                   "val (9 pictures)."),
        (("dog", "ball"), "Those of ball, dog were set by hand, last on 2026-03-04. The others"),
        (CLASSES, "decides by thresholds. All were set by hand, last on 2026-03-04. Here"),
    ],
)  # fmt: skip
def test_a_reader_is_told_which_thresholds_were_set_by_hand(names, told):
    assert told in lead(*names)


def test_in_multi_class_the_others_are_0_and_what_is_not_named_is_told():
    told = lead("cat", decision=Decision(), kind=TaskKind.MULTI_CLASS)
    assert "otherwise nothing; the confusion leaves such pictures out." in told
    assert "The others are 0." in told


def test_of_many_classes_the_first_are_named():
    task = Task(TaskKind.MULTI_LABEL, tuple(f"c{n}" for n in range(30)))
    decision = Decision(thresholds=(0.5,) * 30, threshold=0.5, goal="fixed", scope="global")
    edited = decision.edited(
        task, dict.fromkeys(task.classes[:12], 0.1), at="2026-03-04", previous=""
    )
    told = edited_lead(edited, task)
    assert "Those of c0, c1, c2, c3, c4, c5, c6, c7 and 4 more were set by hand" in told
    assert "The others were fixed." in told
