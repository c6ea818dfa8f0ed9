import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from finelens.errors import DataError
from finelens.task import Task, TaskKind
from finelens.training.probe import STRENGTHS, fit_probe

MULTI_LABEL = Task(TaskKind.MULTI_LABEL, ("a", "b", "c", "d"))
MULTI_CLASS = Task(TaskKind.MULTI_CLASS, ("a", "b", "c", "d"))


def features(num_rows, num_features=12, seed=0):
    """Return correlated features of very different scales, like a backbone's."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(num_features, num_features))
    values = random.normal(size=(num_rows, num_features)) @ mixing
    return (values * np.geomspace(0.01, 10, num_features) + 3).astype(np.float32)


def true_logits(features_NF):
    weight_KF = np.random.default_rng(5).normal(size=(4, features_NF.shape[1]))
    return StandardScaler().fit_transform(features_NF) @ weight_KF.T


def many(features_NF, seed=1):
    noise = np.random.default_rng(seed).logistic(size=(len(features_NF), 4))
    return (true_logits(features_NF) + noise > 1).astype(np.float32)


def one(features_NF, seed=1):
    noise = np.random.default_rng(seed).gumbel(size=(len(features_NF), 4))
    return np.eye(4, dtype=np.float32)[(true_logits(features_NF) + noise).argmax(axis=1)]


def logits(probe, features_NF):
    return features_NF @ probe.weight_KF.T + probe.bias_K


def sklearn_fit(features_NF, targets_N, regularisation):
    # in double: from float32 features scikit-learn itself is off by as much as we may be
    model = LogisticRegression(C=regularisation, tol=1e-8, max_iter=5000)
    return model.fit(StandardScaler().fit_transform(features_NF.astype(np.float64)), targets_N)


@pytest.mark.parametrize("strength", [1.0, 0.03, 0.003])
@pytest.mark.parametrize("num_features", [12, 300])
def test_one_of_many_agrees_with_sklearn(strength, num_features):
    features_NF = features(200, num_features)
    targets_NK = one(features_NF)
    probe = fit_probe(features_NF, targets_NK, task=MULTI_CLASS, strengths=(strength,))
    model = sklearn_fit(features_NF, targets_NK.argmax(axis=1), 1 / (strength * 200))
    theirs = model.predict_proba(StandardScaler().fit_transform(features_NF))
    ours = MULTI_CLASS.probabilities(logits(probe, features_NF))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("strength", [1.0, 0.03, 0.003])
def test_weights_of_one_of_many_agree_with_sklearn(strength):
    features_NF = features(200)
    targets_NK = one(features_NF)
    probe = fit_probe(features_NF, targets_NK, task=MULTI_CLASS, strengths=(strength,))
    model = sklearn_fit(features_NF, targets_NK.argmax(axis=1), 1 / (strength * 200))
    standardised_KF = probe.weight_KF * features_NF.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(standardised_KF, model.coef_, atol=5e-3)


def test_each_of_many_agrees_with_sklearn_on_its_known_rows():
    features_NF = features(200)
    targets_NK = many(features_NF)
    targets_NK[np.random.default_rng(2).random((200, 4)) < 0.2] = np.nan
    targets_NK[0] = 1
    probe = fit_probe(features_NF, targets_NK, task=MULTI_LABEL, strengths=(0.02,))
    is_used_N = ~np.isnan(targets_NK).all(axis=1)
    scaler = StandardScaler().fit(features_NF[is_used_N])
    probabilities_NK = MULTI_LABEL.probabilities(logits(probe, features_NF))
    for k in range(4):
        is_known_N = ~np.isnan(targets_NK[:, k])
        model = LogisticRegression(C=1 / (0.02 * is_used_N.sum()), tol=1e-8, max_iter=5000)
        model.fit(scaler.transform(features_NF[is_known_N]), targets_NK[is_known_N, k])
        theirs = model.predict_proba(scaler.transform(features_NF))[:, 1]
        np.testing.assert_allclose(probabilities_NK[:, k], theirs, atol=2e-3)


@pytest.mark.parametrize(("task", "draw"), [(MULTI_LABEL, many), (MULTI_CLASS, one)])
def test_rows_without_known_labels_change_nothing(task, draw):
    features_NF = features(120)
    targets_NK = draw(features_NF)
    alone = fit_probe(features_NF[:80], targets_NK[:80], task=task)
    targets_NK[80:] = np.nan
    together = fit_probe(features_NF, targets_NK, task=task)
    np.testing.assert_array_equal(together.weight_KF, alone.weight_KF)
    np.testing.assert_array_equal(together.bias_K, alone.bias_K)


@pytest.mark.parametrize(("task", "draw"), [(MULTI_LABEL, many), (MULTI_CLASS, one)])
def test_the_strength_of_the_smallest_validation_loss_is_kept(task, draw):
    features_NF, val_features_MF = features(60), features(60, seed=3)
    targets_NK, val_targets_MK = draw(features_NF), draw(val_features_MF, seed=4)
    probe = fit_probe(features_NF, targets_NK, val_features_MF, val_targets_MK, task=task)
    assert list(probe.val_losses) == list(STRENGTHS[: len(probe.val_losses)])
    assert probe.strength == min(probe.val_losses, key=probe.val_losses.__getitem__)
    assert STRENGTHS[0] > probe.strength > STRENGTHS[-1]
    loss = torch.nn.BCEWithLogitsLoss() if task is MULTI_LABEL else torch.nn.CrossEntropyLoss()
    val_logits_MK = torch.from_numpy(logits(probe, val_features_MF))
    expected = loss(val_logits_MK, torch.from_numpy(val_targets_MK)).item()
    assert probe.val_losses[probe.strength] == pytest.approx(expected, rel=1e-4)


def test_the_middle_strength_is_used_without_known_validation_targets():
    features_NF = features(60)
    targets_NK = many(features_NF)
    settings = {"task": MULTI_LABEL, "strengths": (0.001, 1.0, 0.1)}
    without = fit_probe(features_NF, targets_NK, **settings)
    unknown = fit_probe(
        features_NF, targets_NK, features_NF[:3], np.full((3, 4), np.nan), **settings
    )
    assert without.strength == unknown.strength == 0.1
    assert without.val_losses == unknown.val_losses == {}
    np.testing.assert_array_equal(without.weight_KF, unknown.weight_KF)


def test_constant_features_and_classes_stay_finite():
    features_NF = features(60)
    features_NF[:, 3] = 0.7
    targets_NK = many(features_NF)
    targets_NK[:, 1] = 0
    targets_NK[:, 2] = np.nan
    probe = fit_probe(features_NF, targets_NK, features_NF, targets_NK, task=MULTI_LABEL)
    assert np.isfinite(probe.weight_KF).all()
    probabilities_NK = MULTI_LABEL.probabilities(logits(probe, features_NF))
    assert probabilities_NK[:, 1].max() < 0.05
    np.testing.assert_allclose(probabilities_NK[:, 2], 0.5, atol=1e-6)


def test_one_picture_is_enough_not_to_fail():
    probe = fit_probe(features(1), np.eye(4, dtype=np.float32)[:1], task=MULTI_CLASS)
    assert logits(probe, features(1)).argmax() == 0


def test_the_global_random_state_and_threads_are_left_alone():
    features_NF = features(60)
    before, num_threads = torch.get_rng_state(), torch.get_num_threads()
    first = fit_probe(features_NF, many(features_NF), task=MULTI_LABEL)
    assert torch.equal(before, torch.get_rng_state())
    assert num_threads == torch.get_num_threads()
    torch.manual_seed(1)
    second = fit_probe(torch.from_numpy(features_NF), many(features_NF), task=MULTI_LABEL)
    np.testing.assert_array_equal(first.weight_KF, second.weight_KF)


def test_no_known_label_is_told():
    with pytest.raises(DataError, match="no training picture has a known label"):
        fit_probe(features(5), np.full((5, 4), np.nan), task=MULTI_CLASS)


def test_features_that_are_not_finite_are_counted():
    features_NF = features(5)
    features_NF[[1, 3], 0] = [np.nan, np.inf]
    with pytest.raises(DataError, match="2 of 5 pictures"):
        fit_probe(features_NF, np.zeros((5, 4), np.float32), task=MULTI_LABEL)
