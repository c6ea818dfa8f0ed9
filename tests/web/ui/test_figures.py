import numpy as np
import pytest

from finelens.decision import Decision
from finelens.evaluation.scores import Scores
from finelens.evaluation.what_if import WhatIf
from finelens.task import Task, TaskKind
from finelens.web.ui.figures import MOST_CONFUSED, averages, class_confusion, classes, confusion


@pytest.fixture
def judge():
    """Return a function from a kind of task and a number of classes to judged scores."""

    def made(kind, num_classes=3):
        generator = np.random.default_rng(0)
        logits_NK = generator.normal(size=(60, num_classes)).astype(np.float32)
        targets_NK = np.eye(num_classes, dtype=np.float32)[generator.integers(num_classes, size=60)]
        names = tuple(f"class {k}" for k in range(num_classes))
        scores = Scores(
            ids=tuple(map(str, range(60))),
            paths=("x",) * 60,
            logits_NK=logits_NK,
            targets_NK=targets_NK,
            errors=(None,) * 60,
            task=Task(kind, names),
        )
        return WhatIf(scores, Decision(thresholds=(0.5,) * num_classes))

    return made


def test_averages_tell_how_far_they_moved(judge):
    what_if = judge(TaskKind.MULTI_LABEL)
    saved = what_if.of_all(0.5)
    assert "▲" not in averages(saved, saved, "clips")
    assert "over clips" in averages(saved, saved, "clips")
    now = what_if.of_all(0.2)
    moved = now.averages["micro_recall"] - saved.averages["micro_recall"]
    assert moved > 0
    text = averages(now, saved, "pictures")
    assert f"{now.averages['micro_recall']:.3f}" in text
    assert f"▲ {moved:.3f}" in text


def test_a_class_has_its_four_counts(judge):
    what_if = judge(TaskKind.MULTI_LABEL)
    now = what_if.of_all(0.5)
    text = class_confusion(now, what_if.task, "class 1")
    for count in now.confusion_K22[1].ravel():
        assert f"<strong>{count}</strong>" in text
    assert "<caption>class 1</caption>" in text


def test_only_a_threshold_that_moved_is_marked(judge):
    what_if = judge(TaskKind.MULTI_LABEL)
    saved = what_if.of_all(0.5)
    text = classes(what_if.of_one("class 2", 0.7), saved, what_if.task, "class 2")
    assert text.count("●") == 1
    assert "● 0.700" in text
    assert text.count("aria-current") == 1


def test_the_whole_confusion_is_that_of_one_of_many_and_of_few_classes(judge):
    one_of_many = judge(TaskKind.MULTI_CLASS)
    text = confusion(one_of_many.of_all(0.0), one_of_many.task)
    assert text.count("fl-cell") == 3 * 4
    assert confusion(judge(TaskKind.MULTI_LABEL).of_all(0.5), one_of_many.task) == ""
    wide = judge(TaskKind.MULTI_CLASS, MOST_CONFUSED + 1)
    assert confusion(wide.of_all(0.0), wide.task) == ""
