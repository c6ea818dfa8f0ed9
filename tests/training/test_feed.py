"""Phases whose backbone is frozen: the head trains on features that are computed once."""

import contextlib
import errno

import numpy as np
import pytest
import torch

import finelens
from finelens.errors import RunError
from finelens.models.folding import Folding
from finelens.models.freeze import apply_freeze
from finelens.runs.log import read_log
from finelens.training.features import KeptFeatures
from finelens.training.feed import build_feed, keeps_features
from finelens.training.fit import Fit
from finelens.training.forecast import Pace
from finelens.training.interruption import Interrupted
from finelens.training.profile import Profile

FROZEN = ("phases.0.freeze=backbone", "phases.1.freeze=backbone",
          "phases.0.augment=none", "phases.1.augment=light", "phases.1.views=2",
          "phases.0.epochs=3", "phases.1.epochs=5", "model.head.dropout=0.3",
          "train.precision=fp32")  # fmt: skip


PLAIN = "data.cache=false"
"""A setting with which the backbone works on each batch."""


def watch_backbone(setting):
    """Return a list of how many views the backbone sees from now on, pass by pass."""
    seen = []
    setting.classifier.backbone.register_forward_hook(
        lambda _, given, __: seen.append(len(given[0]))
    )
    return seen


def metrics(setting):
    rows = read_log(setting.run.metrics_log)
    return [row["value"] for row in rows if row["name"] != "samples_per_second"]


def assert_alike(setting, other):
    ours, theirs = (one.classifier.state_dict() for one in (setting, other))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(metrics(setting), metrics(other), rtol=1e-3, atol=1e-4)


def test_norms_inside_convolutions_train_the_same_weights(make_setting, tmp_path, monkeypatch):
    settings = ("train.precision=fp32", "optimizer.name=sgd", "optimizer.lr=0.01",
                "train.clip_norm=0.5", "phases.0.epochs=2")  # fmt: skip
    folded = make_setting(*settings)
    Fit(folded).run()
    monkeypatch.setattr("finelens.training.feed.fold", lambda *_, **__: Folding([]))
    plain = make_setting(*settings, run=tmp_path / "plain")
    Fit(plain).run()
    assert_alike(folded, plain)
    # that is up to rounding: one of the two took another way
    ours, theirs = (one.classifier.state_dict() for one in (folded, plain))
    assert any(not torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.fixture
def make_feed(make_setting):
    """Return a function from settings to a setting and its first phase's feed."""

    def make(*settings):
        setting = make_setting(*settings)
        fit = Fit(setting)
        phase = fit.phases[0]
        apply_freeze(setting.classifier, freeze=phase.freeze, statistics=phase.freeze_statistics)
        feed = build_feed(
            setting, phase, fit.rule, average=None, keeps=False, profile=Profile("it")
        )
        return setting, feed

    return make


def test_norms_are_inside_convolutions_while_updates_are_computed(make_feed):
    setting, feed = make_feed("train.precision=fp32")
    layers = [layer for pair in feed.folding.pairs for layer in (pair.convolution, pair.norm)]
    assert layers
    with feed.computing():
        assert all("forward" in vars(layer) for layer in layers)
    assert not any("forward" in vars(layer) for layer in setting.classifier.modules())


def test_in_bf16_a_cpu_folds_depthwise_convolutions_alone(make_feed):
    settings = "model.backbone=mobilenetv3_small_050", "train.precision=bf16"
    pairs = make_feed(*settings)[1].folding.pairs
    assert pairs
    assert all(pair.convolution.groups == pair.convolution.in_channels > 1 for pair in pairs)


def test_norms_that_learn_their_statistics_are_themselves(make_feed):
    _, feed = make_feed("phases.0.freeze_statistics=false")
    assert feed.folding.pairs == []


def test_what_is_folded_are_the_statistics_of_the_first_process(make_feed, monkeypatch):
    def share(setting):
        for name, statistic in setting.classifier.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                statistic.mul_(1.5).add_(0.01)
        return setting.classifier

    monkeypatch.setattr("finelens.training.feed._shared_model", share)
    setting, feed = make_feed("train.precision=fp32")
    x_BCHW = torch.randn(4, 3, 32, 32)
    plain_BF = setting.classifier.features(x_BCHW)
    with feed.computing():
        folded_BF = setting.classifier.features(x_BCHW)
    assert not torch.equal(folded_BF, plain_BF)
    torch.testing.assert_close(folded_BF, plain_BF, rtol=1e-4, atol=1e-5)


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
def test_kept_features_end_like_a_backbone_that_works_on_each_batch(make_setting, tmp_path, more):
    kept = make_setting(*FROZEN, *more, run=tmp_path / "kept")
    plain = make_setting(*FROZEN, *more, PLAIN, run=tmp_path / "plain")
    before = kept.classifier.head_output.weight.detach().clone()
    Fit(kept).run()
    Fit(plain).run()
    assert_alike(kept, plain)
    assert not torch.equal(before, kept.classifier.head_output.weight)


def test_the_backbone_sees_each_view_once(make_setting, tmp_path):
    settings = (*FROZEN, "phases.0.scale=1", "phases.1.scale=1")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, PLAIN, run=tmp_path / "plain")
    num_train, num_val = (kept.manifest.splits[split] for split in ("train", "val"))
    kept_seen, plain_seen = watch_backbone(kept), watch_backbone(plain)
    Fit(kept).run()
    # what the probe saw serves the first phase and all validation; checks see one picture each
    views = num_train + num_val + 2 * num_train
    assert views <= sum(kept_seen) <= views + 2
    assert not list(kept.run.checkpoints.glob("features*"))
    Fit(plain).run()
    assert sum(plain_seen) >= (1 + 3 + 5) * (num_train + num_val)


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


def test_a_backbone_that_trained_meanwhile_gives_new_features(make_setting, tmp_path):
    phases = (
        "phases=[{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3},"
        "{epochs: 1, augment: none, lr: 1.0e-3, freeze_statistics: true},"
        "{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3}]"
    )
    settings = (phases, "train.precision=fp32", "train.ema_decay=null")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, PLAIN, run=tmp_path / "plain")
    Fit(kept).run()
    Fit(plain).run()
    assert_alike(kept, plain)


CLIPS = ("model.pretrained=false", "input.size=32", "input.frames=4", "train.precision=fp32",
         "train.batch_size=8", "train.num_workers=0",
         "phases=[{epochs: 3, augment: light, views: 2, freeze: backbone}]")  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [
        "model.pooling=linear",  # without weights of its own
        "model.pooling=lstm",
        "model.backbone=clip:cnn-lstm",
    ],
)
def test_clips_train_on_what_the_backbone_made_of_their_frames(
    array_data, tmp_path, monkeypatch, network
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    values = []
    for more in ((), (PLAIN,)):
        settings = ("model.backbone=test_resnet", *CLIPS, network, *more)
        run = finelens.train(
            "finetune-clips", array_data, settings=settings, run=tmp_path / str(len(more))
        )
        rows = read_log(run / "metrics.jsonl")
        values.append([row["value"] for row in rows if row["name"] != "samples_per_second"])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-3, atol=1e-4)


def test_an_average_of_another_backbone_is_judged_by_pictures(make_setting, tmp_path):
    phases = (
        "phases=[{epochs: 1, augment: none, lr: 1.0e-2, freeze_statistics: true},"
        "{epochs: 2, freeze: backbone, augment: none, lr: 1.0e-3}]"
    )
    settings = (phases, "train.precision=fp32", "train.ema_decay=0.9", "model.probe=false")
    kept = make_setting(*settings, run=tmp_path / "kept")
    plain = make_setting(*settings, PLAIN, run=tmp_path / "plain")
    Fit(kept).run()
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
        ((PLAIN,), False),
    ],
)
def test_features_are_kept_where_that_is_less_work(make_setting, more, keeps):
    setting = make_setting(*FROZEN, *more)
    # the last phase is frozen on return
    phase = Fit(setting).phases[1]
    assert keeps_features(setting, phase) is keeps


@pytest.mark.parametrize(
    ("more", "is_told"),
    [
        (("phases.1.views=null", "phases.1.epochs=8"), True),
        (("phases.1.views=null", "phases.1.epochs=7"), False),
        (("phases.1.epochs=8",), False),
        (("phases.1.epochs=8", "train.batches_per_epoch=1"), False),
    ],
)
def test_a_phase_of_many_epochs_is_told_how_to_see_each_picture_less_often(
    make_setting, told, more, is_told
):
    Fit(make_setting(*FROZEN, *more).watched_by(told)).run()
    assert any("`views: 4` in this phase" in line for line in told.lines) is is_told


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("phases.1.freeze=none",), "trains more than the head"),
        ((PLAIN,), "data.cache is false"),
        (("phases.1.views=6",), "see no picture more often"),
    ],
)
def test_views_that_keep_no_features_are_told_why(make_setting, told, more, reason):
    Fit(make_setting(*FROZEN, *more).watched_by(told)).run()
    (line,) = [line for line in told.lines if "views of a picture come in turn" in line]
    assert reason in line


def test_what_is_computed_once_is_said(make_setting, told):
    Fit(make_setting(*FROZEN).watched_by(told)).run()
    said = [line for line in told.lines if "computed once" in line]
    assert said == [
        "small: the backbone is frozen: updates go by its features of 24 pictures, computed once",
        "large: the backbone is frozen: updates go by its features of 24 pictures, 2 views of "
        "each, computed once",
    ]


def test_a_full_disk_is_one_error_that_tells_the_mend(make_setting, monkeypatch):
    setting = make_setting(*FROZEN)

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", no_room, raising=False)
    with pytest.raises(RunError, match=r"No space left on device;\n.*or start with --no-cache"):
        KeptFeatures(setting, Profile()).extract("train", pace=Pace(24), work="")
    assert not list(setting.run.checkpoints.glob("features*"))


class Killed(BaseException):
    """Ends a run that saves nothing more."""


class StopAt:
    """A progress that ends the run in the n-th stage of a title when something of it is done.

    Attributes:
        done: For each stage of the title, what was done of it.
    """

    def __init__(self, title, number=0, error=Interrupted):
        self.title, self.left, self.error = title, number, error
        self.done = []

    @contextlib.contextmanager
    def stage(self, title, total):
        del total
        is_it = title.startswith(self.title)
        self.left -= is_it
        self.done += [[]] if is_it else []

        def advance(num_items, note):
            del note
            if is_it:
                self.done[-1].append(num_items)
                if self.left == 0:
                    raise self.error("stopped")

        yield advance

    def say(self, line):
        pass


@pytest.mark.parametrize(
    ("title", "number"),
    # the probe's; the first phase's; the second's; in an epoch of each phase
    [("features of train", n) for n in (1, 2, 3)] + [("epoch 2", 1), ("epoch 6", 1)],
)
def test_a_run_interrupted_anywhere_ends_like_one_left_alone(
    tmp_path, table_data, tiny_settings, alone, title, number
):
    settings = tiny_settings(*FROZEN, "train.reseed_each_epoch=true")
    run = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopAt(title, number)
        )
    finelens.resume(run)
    weights, whole = "model/weights.safetensors", alone(settings)
    assert (run / weights).read_bytes() == (whole / weights).read_bytes()
    ours, theirs = (
        [row for row in read_log(one / "metrics.jsonl") if row["name"] != "samples_per_second"]
        for one in (run, whole)
    )
    assert ours == theirs
    assert not list((run / "checkpoints").glob("features*"))


def test_the_checkpoint_before_a_damaged_one_finds_its_best_weights(
    tmp_path, table_data, tiny_settings, alone
):
    settings = tiny_settings(*FROZEN, "train.reseed_each_epoch=true")
    run = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopAt("epoch 8", 1)
        )
    (run / "checkpoints/last.pt").write_bytes(b"damaged")
    finelens.resume(run)
    weights = "model/weights.safetensors"
    assert (run / weights).read_bytes() == (alone(settings) / weights).read_bytes()


def kill_and_resume(table_data, settings, run, title, *, watched):
    """Return what was done of each stage of a title when a run killed in another is resumed."""
    with pytest.raises(Killed):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopAt(title, 1, Killed)
        )
    watching = StopAt(watched)
    finelens.resume(run, progress=watching)
    return watching.done


def test_a_kill_between_two_phases_loses_no_features(tmp_path, table_data, tiny_settings, alone):
    phases = (
        "phases=[{epochs: 1, augment: none, lr: 1.0e-3},"
        "{epochs: 3, freeze: backbone, augment: light, views: 2, lr: 1.0e-3}]"
    )
    settings, run = tiny_settings(phases, "model.probe=false"), tmp_path / "run"
    title = "features of train"
    (done,) = kill_and_resume(table_data, settings, run, title, watched=title)
    assert sum(done) == 2 * 24
    # what was there before comes first
    assert done[0] >= 8
    weights = "model/weights.safetensors"
    assert (run / weights).read_bytes() == (alone(settings) / weights).read_bytes()


def test_a_kill_in_the_last_scoring_computes_no_features_anew(tmp_path, table_data, tiny_settings):
    settings, run = tiny_settings(*FROZEN), tmp_path / "run"
    assert not kill_and_resume(table_data, settings, run, "scoring test", watched="features")
    assert (run / "model").is_dir()


@pytest.mark.gpu
def test_on_a_gpu_a_recorded_tail_ends_like_the_whole_classifier(make_setting, tmp_path):
    many = (*FROZEN, "phases.0.epochs=30", "phases.1.epochs=30", "model.head.dropout=0.0",
            "optimizer.name=sgd", "optimizer.lr=0.01")  # fmt: skip
    kept = make_setting(*many, run=tmp_path / "kept")
    plain = make_setting(*many, PLAIN, run=tmp_path / "plain")
    for setting in (kept, plain):
        Fit(setting).run()
    ours, theirs = (one.classifier.state_dict() for one in (kept, plain))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-2, atol=1e-3)
