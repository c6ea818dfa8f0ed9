import math
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from finelens.config.training import LossConfig
from finelens.errors import ConfigError
from finelens.task import TaskKind
from finelens.training.losses import (
    LARGEST_POSITIVE_WEIGHT,
    LOSSES,
    asymmetric,
    balanced_weights,
    bce,
    build_loss,
    cross_entropy,
    sigmoid_focal,
    softmax_focal,
)

ALL_LOSSES = [(kind, name) for kind, losses in LOSSES.items() for name in losses]
WEIGHTS_K = torch.tensor([0.5, 1.0, 3.0, 2.0, 0.1])


@pytest.fixture
def random():
    return torch.Generator().manual_seed(7)


@pytest.fixture(name="logits_BK")
def make_logits(random):
    return 3 * torch.randn(16, 5, generator=random)


@pytest.fixture(name="labels_BK")
def make_labels(random):
    return (torch.rand(16, 5, generator=random) < 0.3).float()


@pytest.fixture(name="index_B")
def make_index(random):
    return torch.randint(0, 5, (16,), generator=random)


@pytest.mark.parametrize("weights_K", [None, WEIGHTS_K])
def test_bce_agrees_with_torch(logits_BK, labels_BK, weights_K):
    ours = bce(logits_BK, labels_BK, class_weights_K=weights_K)
    theirs = F.binary_cross_entropy_with_logits(logits_BK, labels_BK, pos_weight=weights_K)
    torch.testing.assert_close(ours, theirs)


def test_bce_smoothing_moves_targets_towards_one_half(logits_BK, labels_BK):
    ours = bce(logits_BK, labels_BK, label_smoothing=0.2)
    theirs = F.binary_cross_entropy_with_logits(logits_BK, labels_BK * 0.8 + 0.1)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights_K", [None, WEIGHTS_K])
def test_cross_entropy_agrees_with_torch(logits_BK, index_B, weights_K, smoothing):
    ours = cross_entropy(
        logits_BK,
        F.one_hot(index_B, 5).float(),
        class_weights_K=weights_K,
        label_smoothing=smoothing,
    )
    theirs = F.cross_entropy(logits_BK, index_B, weight=weights_K, label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)


def test_cross_entropy_of_soft_targets_agrees_with_torch(logits_BK, random):
    targets_BK = torch.rand(16, 5, generator=random).softmax(dim=1)
    torch.testing.assert_close(
        cross_entropy(logits_BK, targets_BK), F.cross_entropy(logits_BK, targets_BK)
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0, 3.5])
def test_sigmoid_focal_agrees_with_torchvision(logits_BK, labels_BK, gamma):
    theirs = sigmoid_focal_loss(logits_BK, labels_BK, alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(sigmoid_focal(logits_BK, labels_BK, gamma=gamma), theirs)


def test_softmax_focal_agrees_with_its_formula(logits_BK, index_B):
    p_B = logits_BK.double().softmax(dim=1)[torch.arange(16), index_B]
    theirs = (-((1 - p_B) ** 1.5) * p_B.log()).mean().float()
    ours = softmax_focal(logits_BK, F.one_hot(index_B, 5).float(), gamma=1.5)
    torch.testing.assert_close(ours, theirs)


def test_focal_without_gamma_is_the_plain_loss(logits_BK, labels_BK, index_B):
    one_hot_BK = F.one_hot(index_B, 5).float()
    settings = {"class_weights_K": WEIGHTS_K, "label_smoothing": 0.1}
    torch.testing.assert_close(
        sigmoid_focal(logits_BK, labels_BK, gamma=0.0, **settings),
        bce(logits_BK, labels_BK, **settings),
    )
    torch.testing.assert_close(
        softmax_focal(logits_BK, one_hot_BK, gamma=0.0, **settings),
        cross_entropy(logits_BK, one_hot_BK, **settings),
    )


def authors_asymmetric(logits_BK, labels_BK, positive, negative, clip):
    """Return the sum that github.com/Alibaba-MIIL/ASL computes, in float64."""
    yes_BK = logits_BK.double().sigmoid()
    no_BK = (1 - yes_BK + clip).clamp(max=1)
    log_BK = labels_BK * yes_BK.log() + (1 - labels_BK) * no_BK.log()
    focus_BK = 1 - yes_BK * labels_BK - no_BK * (1 - labels_BK)
    return -(log_BK * focus_BK ** (positive * labels_BK + negative * (1 - labels_BK))).sum()


@pytest.mark.parametrize(("positive", "negative", "clip"), [(0, 4, 0.05), (1, 4, 0.2), (1, 2, 0)])
def test_asymmetric_agrees_with_its_authors(logits_BK, labels_BK, positive, negative, clip):
    logits_BK.requires_grad_(True)
    ours = asymmetric(
        logits_BK, labels_BK, gamma_positive=positive, gamma_negative=negative, clip=clip
    )
    theirs = authors_asymmetric(logits_BK, labels_BK, positive, negative, clip) / labels_BK.numel()
    torch.testing.assert_close(ours, theirs.float())
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits_BK), torch.autograd.grad(theirs, logits_BK)
    )


@pytest.mark.parametrize("name", list(LOSSES[TaskKind.MULTI_LABEL]))
def test_unknown_cells_count_for_nothing(name, logits_BK, labels_BK, random):
    is_known_BK = torch.rand(16, 5, generator=random) < 0.6
    loss = LOSSES[TaskKind.MULTI_LABEL][name]
    masked = loss(logits_BK, torch.where(is_known_BK, labels_BK, math.nan))
    alone = loss(logits_BK[is_known_BK][:, None], labels_BK[is_known_BK][:, None])
    torch.testing.assert_close(masked, alone)


@pytest.mark.parametrize("name", list(LOSSES[TaskKind.MULTI_CLASS]))
def test_unknown_rows_count_for_nothing(name, logits_BK, index_B):
    targets_BK = F.one_hot(index_B, 5).float()
    targets_BK[3] = math.nan
    targets_BK[5, 2] = math.nan
    is_known_B = ~targets_BK.isnan().any(dim=1)
    loss = partial(LOSSES[TaskKind.MULTI_CLASS][name], class_weights_K=WEIGHTS_K)
    torch.testing.assert_close(
        loss(logits_BK, targets_BK), loss(logits_BK[is_known_B], targets_BK[is_known_B])
    )


@pytest.mark.parametrize(("kind", "name"), ALL_LOSSES)
def test_a_batch_of_unknowns_gives_zero_and_no_gradient(kind, name, logits_BK):
    logits_BK.requires_grad_(True)
    loss = LOSSES[kind][name](
        logits_BK, torch.full((16, 5), math.nan), class_weights_K=WEIGHTS_K, label_smoothing=0.1
    )
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits_BK.grad, torch.zeros(16, 5))


@pytest.mark.parametrize("settings", [{}, {"gamma": 0.5}])
@pytest.mark.parametrize(("kind", "name"), ALL_LOSSES)
def test_extreme_logits_give_finite_losses_and_gradients(kind, name, settings):
    if settings and name == "asymmetric":
        settings = {"gamma_positive": 0.5, "gamma_negative": 0.5, "clip": 0.0}
    elif name != "focal":
        settings = {}
    logits_BK = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [40.0, -40.0]], requires_grad=True)
    targets_BK = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = LOSSES[kind][name](logits_BK, targets_BK, **settings)
    loss.backward()
    assert loss.isfinite()
    assert logits_BK.grad.isfinite().all()


@pytest.mark.parametrize(("kind", "name"), ALL_LOSSES)
def test_losses_of_bf16_logits_are_computed_in_float32(kind, name, logits_BK, index_B):
    targets_BK = F.one_hot(index_B, 5).float()
    half_BK = logits_BK.bfloat16()
    loss = LOSSES[kind][name](half_BK, targets_BK)
    assert loss.dtype is torch.float32
    assert torch.equal(loss, LOSSES[kind][name](half_BK.float(), targets_BK))


def test_balanced_weights_of_one_of_many_agree_with_sklearn():
    index_N = np.array([0, 0, 0, 0, 1, 2, 2, 1, 0])
    targets_NK = np.vstack([np.eye(3)[index_N], np.full((1, 3), np.nan)])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=index_N)
    ours = balanced_weights(TaskKind.MULTI_CLASS, targets_NK)
    np.testing.assert_allclose(ours, theirs)


def test_balanced_weights_of_many_are_negatives_over_positives_up_to_a_cap():
    targets_NK = np.zeros((100, 3))
    targets_NK[:20, 0] = 1
    targets_NK[20:60, 0] = np.nan
    targets_NK[0, 1] = 1
    ours = balanced_weights(TaskKind.MULTI_LABEL, targets_NK)
    np.testing.assert_allclose(ours, [2.0, LARGEST_POSITIVE_WEIGHT, LARGEST_POSITIVE_WEIGHT])


@pytest.mark.parametrize(
    ("kind", "plain"), [(TaskKind.MULTI_LABEL, bce), (TaskKind.MULTI_CLASS, cross_entropy)]
)
def test_auto_takes_the_plain_loss_of_the_task(kind, plain, logits_BK, index_B):
    targets_BK = F.one_hot(index_B, 5).float()
    loss = build_loss(LossConfig(), kind, targets_BK.numpy())
    assert torch.equal(loss(logits_BK, targets_BK), plain(logits_BK, targets_BK))


def test_build_loss_binds_every_setting(logits_BK, labels_BK):
    config = LossConfig(
        name="asymmetric",
        class_weights=tuple(WEIGHTS_K.tolist()),
        label_smoothing=0.1,
        asymmetric_gamma_positive=1.0,
        asymmetric_gamma_negative=3.0,
        asymmetric_clip=0.1,
    )
    expected = asymmetric(
        logits_BK,
        labels_BK,
        gamma_positive=1.0,
        gamma_negative=3.0,
        clip=0.1,
        class_weights_K=WEIGHTS_K,
        label_smoothing=0.1,
    )
    loss = build_loss(config, TaskKind.MULTI_LABEL, labels_BK.numpy())
    assert torch.equal(loss(logits_BK, labels_BK), expected)


def test_build_loss_counts_balanced_weights_in_the_training_targets(logits_BK, index_B):
    targets_BK = F.one_hot(index_B, 5).float()
    config = LossConfig(name="focal", class_weights="balanced", focal_gamma=1.0)
    loss = build_loss(config, TaskKind.MULTI_CLASS, targets_BK.numpy())
    weights_K = compute_class_weight("balanced", classes=np.arange(5), y=index_B.numpy())
    expected = softmax_focal(
        logits_BK, targets_BK, gamma=1.0, class_weights_K=torch.tensor(weights_K)
    )
    torch.testing.assert_close(loss(logits_BK, targets_BK), expected)


def test_a_wrong_number_of_class_weights_is_told():
    with pytest.raises(ConfigError, match="2 weights for 3 classes"):
        build_loss(LossConfig(class_weights=(1.0, 2.0)), TaskKind.MULTI_LABEL, np.zeros((4, 3)))


def test_a_loss_of_the_other_task_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r'"bce" is not for multi-class data.*"cross_entropy"'):
        build_loss(LossConfig(name="bce"), TaskKind.MULTI_CLASS, np.zeros((4, 3)))
