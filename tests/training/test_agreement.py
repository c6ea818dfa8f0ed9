import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from finelens.task import Task, TaskKind
from finelens.training.agreement import agreement_names, batch_agreement


def test_agreement_of_one_of_many_counts_right_pictures():
    task = Task(TaskKind.MULTI_CLASS, ("a", "b"))
    logits_BK = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    targets_BK = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert batch_agreement(logits_BK, targets_BK, task).tolist() == [2]
    assert agreement_names(task) == ("accuracy",)


def test_agreement_of_many_is_scikit_learns_mean_over_samples():
    generator = np.random.default_rng(0)
    task = Task(TaskKind.MULTI_LABEL, tuple("abcdef"))
    logits_BK = generator.normal(size=(40, 6)).astype(np.float32) - 0.5
    targets_BK = (generator.random((40, 6)) < 0.3).astype(np.float32)
    # pictures where nothing is said, nothing is true, and neither
    logits_BK[:2], targets_BK[1:3] = -1, 0
    sums = batch_agreement(torch.from_numpy(logits_BK), torch.from_numpy(targets_BK), task)
    *expected, _ = precision_recall_fscore_support(
        targets_BK, logits_BK >= 0, average="samples", zero_division=0
    )
    assert (sums / 40).tolist() == pytest.approx(expected)
    assert agreement_names(task) == ("example_precision", "example_recall", "example_f1")


def test_ignored_classes_count_neither_way():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b", "c"))
    logits_BK = torch.tensor([[1.0, 1.0, 5.0], [-1.0, -1.0, -1.0]])
    targets_BK = torch.tensor([[1.0, 0.0, np.nan], [0.0, 0.0, 0.0]])
    assert batch_agreement(logits_BK, targets_BK, task).tolist() == pytest.approx([0.5, 1, 2 / 3])


def test_yes_is_said_from_the_threshold_on():
    task = Task(TaskKind.MULTI_LABEL, ("a", "b"))
    logits_BK = torch.tensor([[0.2, 0.6]]).logit()
    targets_BK = torch.tensor([[1.0, 1.0]])
    for threshold, recall in {0.1: 1.0, 0.2: 1.0, 0.3: 0.5, 0.7: 0.0}.items():
        sums = batch_agreement(logits_BK, targets_BK, task, threshold=threshold)
        assert sums[1] == pytest.approx(recall)
