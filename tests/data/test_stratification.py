import numpy as np
import pytest
import scipy.sparse

from finelens.data.stratification import stratify

FRACTIONS = (0.7, 0.15, 0.15)


def divide(counts, sizes=None, fractions=FRACTIONS, seed=0):
    counts = scipy.sparse.csr_array(np.asarray(counts))
    sizes = np.ones(counts.shape[0], dtype=np.int64) if sizes is None else sizes
    return stratify(counts, sizes, fractions, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_one_class_each_gives_every_class_its_share_within_a_picture(seed):
    labels = np.repeat(np.arange(6), [200, 101, 57, 20, 7, 1])
    parts = divide(np.eye(6)[labels], seed=seed)
    for k in range(6):
        counts = np.bincount(parts[labels == k], minlength=3)
        assert np.abs(counts - np.array(FRACTIONS) * (labels == k).sum()).max() <= 1.0
    totals = np.bincount(parts, minlength=3)
    assert np.abs(totals - np.array(FRACTIONS) * len(labels)).max() <= 1.0


@pytest.mark.parametrize("seed", range(5))
def test_many_labels_are_divided_better_than_by_chance(seed):
    generator = np.random.default_rng(100 + seed)
    rates = np.array([0.5, 0.3, 0.1, 0.05, 0.02])
    labels = (generator.random((800, 5)) < rates).astype(int)
    labels = np.hstack([labels, (labels.sum(axis=1, keepdims=True) == 0)])

    def deviation(parts):
        wanted = np.outer(FRACTIONS, labels.sum(axis=0))
        found = np.stack([labels[parts == part].sum(axis=0) for part in range(3)])
        return np.abs(found - wanted).max()

    chance = deviation(generator.permutation(np.repeat(np.arange(3), [560, 120, 120])))
    stratified = deviation(divide(labels, seed=seed))
    assert stratified <= 3.0
    assert stratified < chance


def test_every_class_starts_in_the_first_part_even_where_it_is_the_smallest():
    labels = np.repeat(np.arange(10), 1)
    parts = divide(np.eye(10)[labels], fractions=(0.1, 0.45, 0.45))
    assert (parts == 0).all()


def test_rare_classes_do_not_leave_the_second_part_empty():
    labels = np.repeat(np.arange(50), 2)
    totals = np.bincount(divide(np.eye(50)[labels]), minlength=3)
    assert abs(totals[0] - 70) <= 2
    assert totals[1:].min() >= 13


def test_heavy_units_are_balanced_by_what_they_hold():
    generator = np.random.default_rng(1)
    counts = generator.integers(1, 40, size=(60, 3))
    parts = divide(counts, sizes=counts.sum(axis=1))
    shares = np.stack([counts[parts == part].sum(axis=0) for part in range(3)]) / counts.sum(axis=0)
    assert np.abs(shares - np.array(FRACTIONS)[:, None]).max() < 0.04
