import numpy as np
import pytest

from finelens.evaluation.scores import Scores
from finelens.task import Task, TaskKind


@pytest.fixture(scope="session")
def multi_label_case():
    """Return a maker of (scores with ties, targets with an empty class, decisions)."""

    def make(seed, *, ignored=0.0):
        generator = np.random.default_rng(seed)
        num_examples, num_classes = generator.integers(1, 40), generator.integers(2, 7)
        shape = (num_examples, num_classes)
        scores = generator.integers(0, 12, shape) / 11
        targets = (generator.random(shape) < 0.4).astype(np.float32)
        targets[:, 0] = 0
        targets[generator.random(shape) < ignored] = np.nan
        return scores, targets, scores >= 0.5

    return make


@pytest.fixture(scope="session")
def multi_class_case():
    """Return a maker of (probabilities, targets, decisions) of one-of-K pictures."""

    def make(seed):
        generator = np.random.default_rng(seed)
        num_examples, num_classes = generator.integers(1, 60), generator.integers(3, 8)
        scores = generator.dirichlet(np.ones(num_classes), num_examples)
        truth = generator.integers(0, num_classes, num_examples)
        targets = np.eye(num_classes, dtype=np.float32)[truth]
        decisions = np.eye(num_classes, dtype=bool)[scores.argmax(axis=1)]
        return scores, targets, decisions

    return make


@pytest.fixture(scope="session")
def scores_of():
    """Return a maker of Scores from logits and targets, with made-up names."""

    def make(logits, targets, *, kind=TaskKind.MULTI_LABEL, errors=None):
        logits = np.asarray(logits, dtype=np.float32)
        names = tuple(f"{n}.jpg" for n in range(len(logits)))
        classes = tuple(f"class-{k}" for k in range(logits.shape[1]))
        return Scores(
            ids=names,
            paths=tuple(f"/data/{name}" for name in names),
            logits_NK=logits,
            targets_NK=np.asarray(targets, dtype=np.float32),
            errors=tuple(errors) if errors else (None,) * len(names),
            task=Task(kind, classes),
        )

    return make


@pytest.fixture
def trained_scores(scores_of):
    """Return a maker of plausible scores: logits lean to the truth, by no means always."""

    def make(num_examples=80, *, kind=TaskKind.MULTI_LABEL, seed=0, sureness=2.0):
        generator = np.random.default_rng(seed)
        if kind is TaskKind.MULTI_LABEL:
            targets = (generator.random((num_examples, 5)) < [0.5, 0.3, 0.3, 0.1, 0.2]) * 1.0
        else:
            targets = np.eye(7)[generator.integers(0, 7, num_examples)]
        logits = sureness * (2 * targets - 1 + generator.normal(0, 1.2, targets.shape))
        return scores_of(logits, targets, kind=kind)

    return make
