"""Phases whose backbone is frozen: the head trains on features that are computed once."""

import contextlib

import numpy as np
import pytest
import torch

import finelens
from finelens.models.classifier import Classifier
from finelens.runs.log import read_log
from finelens.training.features import KeptFeatures
from finelens.training.feed import build_feed, keeps_features
from finelens.training.fit import Fit
from finelens.training.interruption import Interrupted
from finelens.training.profile import Profile

FROZEN = ("phases.0.freeze=backbone", "phases.1.freeze=backbone",
          "phases.0.augment=none", "phases.1.augment=light", "phases.1.views=2",
          "phases.0.epochs=3", "phases.1.epochs=5", "model.head.dropout=0.3",
          "train.precision=fp32")  # fmt: skip


@pytest.fixture
def plainly(monkeypatch):
    """Return a context in which no features are kept."""

    @contextlib.contextmanager
    def plain():
        with monkeypatch.context() as patched:
            patched.setattr(Classifier, "has_fixed_features", property(lambda _self: False))
            yield

    return plain


@pytest.fixture
def num_seen(monkeypatch):
    """Return a list of how many views the backbone saw, pass by pass."""
    found = []
    own = Classifier.frame_features

    def frame_features(self, x):
        found.append(len(x))
        return own(self, x)

    monkeypatch.setattr(Classifier, "frame_features", frame_features)
    return found


def metrics(setting):
    rows = read_log(setting.run.metrics_log)
    return [row["value"] for row in rows if row["name"] != "samples_per_second"]


def assert_alike(setting, other):
    ours, theirs = (one.classifier.state_dict() for one in (setting, other))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(metrics(setting), metrics(other), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("train.accumulate=2", "train.clip_norm=0.1", "train.reseed_each_epoch=true"),
        ("train.batches_per_epoch=5",),
        ("model.probe=false", "model.head.kind=mlp", "model.head.hidden=8"),
        ("train.ema_decay=null", "phases.1.average_every=2"),
    ],
)
def test_kept_features_end_like_a_backbone_that_works_on_each_batch(
    make_setting, plainly, tmp_path, more
):
    kept = make_setting(*FROZEN, *more, run=tmp_path / "kept")
    plain = make_setting(*FROZEN, *more, run=tmp_path / "plain")
    before = kept.classifier.head_output.weight.detach().clone()
    Fit(kept).run()
    with plainly():
        Fit(plain).run()
    assert_alike(kept, plain)
    assert not torch.equal(before, kept.classifier.head_output.weight)


def test_the_backbone_sees_each_view_once(make_setting, num_seen, plainly, tmp_path):
    settings = (*FROZEN, "phases.0.scale=1", "phases.1.scale=1")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, run=tmp_path / "plain")
    num_train, num_val = (kept.manifest.splits[split] for split in ("train", "val"))
    del num_seen[:]
    Fit(kept).run()
    # what the probe saw serves the first phase and all validation
    assert sum(num_seen) == num_train + num_val + 2 * num_train
    assert not list(kept.run.checkpoints.glob("features*"))
    del num_seen[:]
    with plainly():
        Fit(plain).run()
    assert sum(num_seen) == (1 + 3 + 5) * (num_train + num_val)


def test_scores_of_kept_features_are_those_of_the_pictures(make_setting):
    setting = make_setting(*FROZEN, "train.precision=auto")
    fit = Fit(setting)
    phase = fit.phases[1]
    assert keeps_features(setting, phase)
    feed = build_feed(setting, phase, fit.rule, average=None, keeps=True, profile=Profile())
    setting.classifier.train()
    kept, scored = feed.score_val(), setting.score("val")
    np.testing.assert_array_equal(kept.logits_NK, scored.logits_NK)
    np.testing.assert_array_equal(kept.targets_NK, scored.targets_NK)
    assert (kept.ids, kept.paths) == (scored.ids, scored.paths)
    assert setting.classifier.head.training


def test_a_backbone_that_trained_meanwhile_gives_new_features(make_setting, plainly, tmp_path):
    phases = (
        "phases=[{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3},"
        "{epochs: 1, augment: none, lr: 1.0e-3, freeze_statistics: true},"
        "{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3}]"
    )
    settings = (phases, "train.precision=fp32", "train.ema_decay=null")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, run=tmp_path / "plain")
    Fit(kept).run()
    with plainly():
        Fit(plain).run()
    assert_alike(kept, plain)


@pytest.mark.parametrize("pooling", ["max", "lstm", "attention"])
def test_clips_train_a_pooling_on_the_features_of_frames(
    array_data, plainly, tmp_path, num_seen, pooling
):
    settings = ("model.backbone=test_resnet", "model.pretrained=false", "input.size=32",
                "input.frames=4", f"model.pooling={pooling}", "train.precision=fp32",
                "train.batch_size=8", "train.num_workers=0", "data.cache=false",
                "phases=[{epochs: 3, augment: light, views: 2, freeze: backbone}]")  # fmt: skip

    def train(run):
        del num_seen[:]
        finelens.train("finetune-clips", array_data, settings=settings, run=tmp_path / run)
        rows = read_log(tmp_path / run / "metrics.jsonl")
        values = [row["value"] for row in rows if row["name"] != "samples_per_second"]
        return sum(num_seen), values

    kept_seen, kept = train("kept")
    with plainly():
        plain_seen, plain = train("plain")
    assert kept_seen < plain_seen
    np.testing.assert_allclose(kept, plain, rtol=1e-3, atol=1e-4)


def test_an_average_of_another_backbone_is_judged_by_pictures(make_setting, plainly, tmp_path):
    phases = (
        "phases=[{epochs: 1, augment: none, lr: 1.0e-2, freeze_statistics: true},"
        "{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3}]"
    )
    settings = (phases, "train.precision=fp32", "train.ema_decay=0.9", "model.probe=false")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, run=tmp_path / "plain")
    Fit(kept).run()
    with plainly():
        Fit(plain).run()
    assert_alike(kept, plain)


@pytest.mark.parametrize(
    ("more", "keeps"),
    [
        ((), True),
        (("phases.1.views=null",), False),
        (("phases.1.augment=none", "phases.1.views=null"), True),
        (("phases.1.views=5",), True),
        (("phases.1.views=6",), False),
        (("phases.1.freeze=none",), False),
        # 5 epochs of 9 batches of 8 see 45 pictures, two views of all are 48
        (("train.batches_per_epoch=1",), False),
        (("train.batches_per_epoch=2",), True),
    ],
)
def test_features_are_kept_where_that_is_less_work(make_setting, more, keeps):
    setting = make_setting(*FROZEN, *more)
    assert keeps_features(setting, Fit(setting).phases[1]) is keeps


def test_a_phase_of_many_epochs_is_told_how_to_see_each_picture_less_often(make_setting, told):
    setting = make_setting(*FROZEN, "phases.1.views=null").watched_by(told)
    Fit(setting).run()
    assert [line for line in told.lines if "`views: 4` in this phase" in line]


def test_a_full_disk_is_one_error_that_tells_the_mend(make_setting, monkeypatch):
    setting = make_setting(*FROZEN)

    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", no_room, raising=False)
    with pytest.raises(finelens.errors.RunError, match="No space left on device"):
        KeptFeatures(setting, Profile()).of("train")
    assert not list(setting.run.checkpoints.glob("features*"))


class StopAt:
    """A progress that interrupts the n-th stage of a title when something of it is done."""

    def __init__(self, title, number):
        self.title, self.left = title, number

    @contextlib.contextmanager
    def stage(self, title, total):
        del total
        self.left -= title.startswith(self.title)

        def advance(num_items, note):
            del num_items, note
            if title.startswith(self.title) and self.left == 0:
                raise Interrupted("stopped")

        yield advance

    def say(self, line):
        pass


@pytest.mark.parametrize(
    ("title", "number"),
    # the probe's; the first phase's; the second's; in an epoch of each phase
    [("features of train", n) for n in (1, 2, 3)] + [("epoch 2", 1), ("epoch 6", 1)],
)
def test_a_run_interrupted_anywhere_ends_like_one_left_alone(
    tmp_path, table_data, tiny_settings, title, number
):
    settings = tiny_settings(*FROZEN, "train.reseed_each_epoch=true")
    alone = finelens.train("finetune", table_data, settings=settings, run=tmp_path / "alone")
    run = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopAt(title, number)
        )
    finelens.resume(run)
    weights = "model/weights.safetensors"
    assert (run / weights).read_bytes() == (alone / weights).read_bytes()
    ours, theirs = (
        [row for row in read_log(one / "metrics.jsonl") if row["name"] != "samples_per_second"]
        for one in (run, alone)
    )
    assert ours == theirs
    assert not list((run / "checkpoints").glob("features*"))


def test_the_checkpoint_before_a_damaged_one_finds_its_best_weights(
    tmp_path, table_data, tiny_settings
):
    settings = tiny_settings(*FROZEN, "train.best_by=[loss,mean_average_precision]")
    alone = finelens.train("finetune", table_data, settings=settings, run=tmp_path / "alone")
    run = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopAt("epoch 8", 1)
        )
    (run / "checkpoints/last.pt").write_bytes(b"damaged")
    finelens.resume(run)
    weights = "model/weights.safetensors"
    assert (run / weights).read_bytes() == (alone / weights).read_bytes()
