import numpy as np
import pytest
import torch

from finelens.runs.log import read_log
from finelens.task import Task, TaskKind
from finelens.training.fit import Fit
from finelens.training.loop import batch_agreement


def test_agreement_of_one_of_many_counts_right_pictures():
    task = Task(TaskKind.MULTI_CLASS, ("a", "b"))
    logits_BK = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    targets_BK = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert batch_agreement(logits_BK, targets_BK, task) == 2


def test_agreement_of_many_is_example_f1_without_ignored_classes():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b", "c"))
    logits_BK = torch.tensor([[1.0, 1.0, 5.0], [-1.0, -1.0, -1.0]])
    targets_BK = torch.tensor([[1.0, 0.0, np.nan], [0.0, 0.0, 0.0]])
    assert batch_agreement(logits_BK, targets_BK, task) == pytest.approx(2 / 3)


def test_rate_follows_the_schedule_within_an_epoch(make_setting):
    setting = make_setting(
        "phases.0.schedule={name: cosine}",
        "optimizer.lr=0.001",
        "phases.1.lr=0.5",
        "phases.1.schedule={name: constant}",
    )
    Fit(setting).run()
    rows = read_log(setting.run.metrics_log)
    rates = [row["value"] for row in rows if row["name"] == "learning_rate"]
    middle_of_last_update = np.cos(np.pi * (2.5 / 3)) / 2 + 0.5
    assert rates == pytest.approx([0.001 * middle_of_last_update, 0.5])
