import copy

import pytest
import torch
from torch.optim.swa_utils import update_bn

from finelens.models.freeze import apply_freeze
from finelens.training.phases import build_phases
from finelens.training.statistics import renew_statistics


@pytest.fixture
def renewed(make_setting):
    """Return a function that renews the statistics of a fresh setting's classifier."""
    setting = make_setting("model.head.dropout=0.5", "phases.0.augment=standard")
    [phase, _] = build_phases(setting.recipe, setting.preprocessing, int)
    loader = setting.loader("train", augmentation=phase.augmentation)

    def renew(epoch=3):
        renew_statistics(
            setting.classifier, loader, setting.preprocessing,
            epoch=epoch, device=torch.device("cpu"), channels_last=False,
            advance=lambda _num, _note: None,
        )  # fmt: skip

    return setting, loader, renew


def test_statistics_are_those_of_torchs_update_bn(renewed):
    setting, loader, renew = renewed
    # dropout stands behind every batch norm, so it cannot disturb the reference
    theirs = copy.deepcopy(setting.classifier)
    renew()
    pictures = (setting.preprocessing.normalise(batch.images_BCHW) for batch in loader.epoch(3))
    update_bn(pictures, theirs)
    expected = theirs.state_dict()
    for name, value in setting.classifier.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, expected[name])


def test_nothing_else_changes_and_counters_return(renewed):
    setting, _, renew = renewed
    before = copy.deepcopy(setting.classifier.state_dict())
    renew()
    after = setting.classifier.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.endswith(("running_mean", "running_var")) for name in changed)
    assert not setting.classifier.training


def test_frozen_statistics_stay(renewed):
    setting, _, renew = renewed
    apply_freeze(setting.classifier, freeze="none", statistics=True)
    before = copy.deepcopy(setting.classifier.state_dict())
    renew()
    after = setting.classifier.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_batch_norms_without_scale_are_renewed_and_auxiliary_ones_stay(make_setting):
    setting = make_setting(
        "model.backbone='torchvision:googlenet'", "model.probe=false", "input.size=64",
        "loss.auxiliary_weight=0.3", "phases.0.scale=1.0", "phases.1.scale=1.0",
    )  # fmt: skip
    network = setting.classifier.backbone.network
    network.conv1.bn = torch.nn.BatchNorm2d(64, affine=False)
    before = copy.deepcopy(setting.classifier.state_dict())
    [phase, _] = build_phases(setting.recipe, setting.preprocessing, int)
    renew_statistics(
        setting.classifier, setting.loader("train", augmentation=phase.augmentation),
        setting.preprocessing, epoch=0, device=torch.device("cpu"), channels_last=False,
        advance=lambda _num, _note: None,
    )  # fmt: skip
    after = setting.classifier.state_dict()
    assert not torch.equal(
        before["backbone.network.conv1.bn.running_mean"],
        after["backbone.network.conv1.bn.running_mean"],
    )
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("auxiliary."))
