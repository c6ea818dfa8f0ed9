import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from finelens.evaluation.curves import (
    curve_table,
    mean_curve,
    precision_recall_curve,
    roc_curve,
)
from finelens.evaluation.operating_points import operating_points


@pytest.mark.parametrize("seed", range(10))
def test_curves_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 12, 30) / 11
    positive = generator.random(30) < 0.4
    points = operating_points(scores, positive)
    x, y = roc_curve(points)
    expected_x, expected_y, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
    assert (x, y) == (pytest.approx(expected_x), pytest.approx(expected_y))
    recall, precision = precision_recall_curve(points)
    expected_precision, expected_recall, _ = reference.precision_recall_curve(positive, scores)
    assert recall[1:] == pytest.approx(expected_recall[:-1][::-1])
    assert precision[1:] == pytest.approx(expected_precision[:-1][::-1])


def test_the_mean_roc_averages_recall_at_equal_rates():
    diagonal = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    perfect = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
    nothing = np.array([]), np.array([])
    x, y = mean_curve([diagonal, perfect, nothing], interpolated=False)
    assert y == pytest.approx((x + 1) / 2)


def test_the_mean_precision_takes_the_best_at_a_recall_or_beyond():
    curve = np.array([0.0, 0.5, 0.5, 1.0]), np.array([1.0, 1.0, 0.4, 0.6])
    x, y = mean_curve([curve], interpolated=True)
    assert y == pytest.approx(np.where(x <= 0.5, 1.0, 0.6))


def test_long_curves_are_thinned_and_keep_their_ends():
    generator = np.random.default_rng(0)
    targets = (generator.random((900, 2)) < 0.5).astype(float)
    table = curve_table(generator.random((900, 2)), targets, ["a", "b"], most_points=50)
    roc = table.filter(kind="roc")
    for name in ("a", "b"):
        curve = roc.filter(**{"class": name})
        assert curve.height == 50
        assert curve.row(0)[2:] == (0, 0)
        assert curve.row(-1)[2:] == (1, 1)
    mean = roc.filter(pl.col("class").is_null())
    assert mean.row(-1)[2:] == (1, 1)


def test_classes_without_positives_have_no_curve():
    table = curve_table(np.array([[0.1, 0.2]]), np.array([[1.0, 0.0]]), ["a", "b"])
    assert set(table["kind"]) == {"precision_recall"}
    assert set(table["class"]) == {"a", None}
