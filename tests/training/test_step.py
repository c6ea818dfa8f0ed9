import random

import pytest
import torch

from finelens.runs.log import read_log
from finelens.training import step
from finelens.training.fit import Fit
from finelens.training.recording import Recording

LONG = ("train.batches_per_epoch=80", "phases.0.epochs=1", "model.probe=false")
"""Long enough to be worth recording."""
EXACT = ("train.precision=fp32", "optimizer.name=sgd", "optimizer.lr=0.01")
"""Rounding stays rounding: Adam makes a step of the smallest gradient."""


@pytest.fixture
def replays(monkeypatch):
    """Return a list that grows with every replay."""
    done = []
    replay = Recording.forward

    def counted(self, *batch):
        done.append(len(batch[0]))
        return replay(self, *batch)

    monkeypatch.setattr(Recording, "forward", counted)
    return done


@pytest.fixture
def trained(make_setting, tmp_path, monkeypatch, told):
    """Return a function from settings to weights, logged figures and lines of a short training."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)

    def train(*settings, is_recorded, change=None):
        told.lines = []
        name = "recorded" if is_recorded else "direct"
        setting = make_setting(*LONG, *EXACT, *settings, run=tmp_path / name).watched_by(told)
        if change is not None:
            change(setting.classifier)
        with monkeypatch.context() as patch:
            if not is_recorded:
                patch.setattr(step, "_WORTH_RECORDING", 10**9)
            state = Fit(setting).run()
        logged = [row["value"] for row in read_log(setting.run.metrics_log)
                  if row["name"] in {"loss", "example_f1"}]  # fmt: skip
        return state.classifier.state_dict(), logged, told.lines

    return train


@pytest.mark.gpu
@pytest.mark.parametrize(
    "settings",
    [
        ("train.batch_size=7",),  # the last batch of a pass is smaller
        ("train.accumulate=3", "loss.class_weights=balanced"),
        ("model.options.drop_rate=0.3", "train.clip_norm=0.5"),
        ("train.ema_decay=0.9", "train.reseed_each_epoch=true", "model.options.drop_rate=0.3"),
        ("phases.0.freeze=until:layer2", "train.channels_last=false"),
    ],
)
def test_recorded_passes_train_what_the_passes_train(settings, trained, replays):
    recorded, logged, lines = trained(*settings, is_recorded=True)
    assert len(replays) > 50, lines
    assert not [line for line in lines if "recorded" in line and "training:" in line]
    num_replays = len(replays)
    direct, expected, _ = trained(*settings, is_recorded=False)
    assert len(replays) == num_replays
    assert logged == pytest.approx(expected, rel=1e-2, abs=1e-3)
    for name, value in direct.items():
        assert torch.allclose(recorded[name].float(), value.float(), rtol=1e-3, atol=1e-4), name


@pytest.mark.gpu
@pytest.mark.parametrize("waits", [True, False])
def test_a_network_that_cannot_be_recorded_trains_as_it_is(waits, trained, replays):
    def change(classifier):
        forward = classifier.backbone.forward

        def odd(x):
            scale = x.mean().item() if waits else random.random()
            return forward(x) * (1 + 0 * scale)

        classifier.backbone.forward = odd

    recorded, *_, lines = trained(is_recorded=True, change=change)
    assert not replays
    reason = [line for line in lines if "not recorded as CUDA graphs" in line]
    assert len(set(reason)) == 1
    direct, *_ = trained(is_recorded=False, change=change)
    for name, value in direct.items():
        assert torch.allclose(recorded[name].float(), value.float(), rtol=1e-3, atol=1e-4), name


@pytest.mark.gpu
def test_short_phases_are_not_recorded(trained, replays):
    trained("train.batches_per_epoch=20", is_recorded=True)
    assert not replays


@pytest.mark.gpu
def test_a_compiled_network_trains_nearly_the_same(trained, replays):
    # a compiled network draws other numbers for dropout
    same = ("train.batches_per_epoch=120", "model.head={dropout: 0.0}")
    compiled, *_, lines = trained(*same, "train.compile=true", is_recorded=True)
    assert [line for line in lines if "compiling the network" in line]
    assert not [line for line in lines if "cannot be compiled" in line or "not recorded" in line]
    assert len(replays) > 50
    direct, *_ = trained(*same, "train.compile=false", is_recorded=False)
    for name, value in direct.items():
        assert torch.allclose(compiled[name].float(), value.float(), rtol=0.02, atol=0.01), name


@pytest.mark.gpu
def test_a_network_that_cannot_be_compiled_is_recorded_as_it_is(trained, replays, monkeypatch):
    def fail(_):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fail)
    *_, lines = trained("train.compile=true", is_recorded=True)
    assert "training: the network cannot be compiled: no compiler at all" in lines
    assert len(replays) > 50


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_compiling_without_a_gpu_is_said_to_do_nothing(make_setting, told):
    Fit(make_setting("train.compile=true", "model.probe=false").watched_by(told)).run()
    assert told.lines[0] == "train.compile is for one CUDA GPU: it does nothing here"
