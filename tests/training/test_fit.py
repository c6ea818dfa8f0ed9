import itertools
import math
from collections import namedtuple

import psutil
import pytest
import torch

from finelens.errors import ConfigError, ModelError
from finelens.progress import Silent
from finelens.runs.log import read_log
from finelens.training.finish import finish
from finelens.training.fit import Fit
from finelens.training.resume import Checkpoints


def values(setting, split, name):
    rows = read_log(setting.run.metrics_log)
    return [row["value"] for row in rows if (row["split"], row["name"]) == (split, name)]


def test_every_epoch_logs_train_and_val_and_the_probe_comes_first(make_setting):
    setting = make_setting()
    state = Fit(setting).run()
    assert len(values(setting, "train", "loss")) == 2
    assert len(values(setting, "val", "mean_average_precision")) == 3
    rows = read_log(setting.run.metrics_log)
    assert (rows[0]["epoch"], rows[0]["phase"]) == (0, "probe")
    assert state.position.update == 2 * math.ceil(24 / 8)


def test_the_probe_is_a_candidate_for_the_best(make_setting):
    # a rate that ruins everything leaves the probe as the best
    setting = make_setting("optimizer.lr=3.0", "train.ema_decay=null")
    state = Fit(setting).run()
    assert state.best.main.epoch == 0


def test_without_a_probe_training_starts_at_epoch_one(make_setting):
    setting = make_setting("model.probe=false")
    state = Fit(setting).run()
    assert state.best.main.epoch in {1, 2}
    assert not [row for row in read_log(setting.run.metrics_log) if row["epoch"] == 0]


def test_training_stops_when_the_target_is_reached(make_setting):
    setting = make_setting("stop.target=0.01", "stop.metric=mean_average_precision")
    state = Fit(setting).run()
    assert state.stopped == "mean_average_precision reached 0.01"
    assert len(values(setting, "train", "loss")) == 1


def test_training_stops_when_patience_ends(make_setting):
    setting = make_setting(
        "stop.patience=2", "phases.0.epochs=9", "optimizer.lr=1.0e-9", "stop.metric=accuracy"
    )
    state = Fit(setting).run()
    assert state.stopped == "accuracy not better for 2 epochs"
    assert len(values(setting, "train", "loss")) == 3


def test_a_frozen_backbone_stays_bit_identical(make_setting):
    setting = make_setting(
        "phases.0.freeze=backbone", "phases.1.freeze=backbone", "optimizer.weight_decay=0.1"
    )
    before = {k: v.clone() for k, v in setting.classifier.backbone.state_dict().items()}
    head = setting.classifier.head_output.weight.detach().clone()
    Fit(setting).run()
    after = setting.classifier.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(head, setting.classifier.head_output.weight)


def test_accumulation_makes_one_update_of_several_batches(make_setting):
    state = Fit(make_setting("train.accumulate=2")).run()
    assert state.position.update == 2 * 2  # batches 2 + 1 in each of 2 epochs


@pytest.mark.parametrize("length", [2, 5])
def test_an_epoch_may_be_shorter_or_longer_than_a_pass(make_setting, length):
    setting = make_setting(f"train.batches_per_epoch={length}")
    assert setting.manifest.splits["train"] == 3 * 8
    state = Fit(setting).run()
    assert state.position.update == 2 * length
    assert state.pictures == 2 * length * 8
    assert len(values(setting, "val", "loss")) == 3  # the probe's and two epochs'


def test_accumulated_batches_equal_one_large_batch(make_setting, tmp_path):
    common = ("model.backbone=test_vit", "input.size=160", "train.ema_decay=null",
              "phases.0.augment=none", "phases.1.augment=none", "model.head.dropout=0.0",
              "phases.0.scale=1.0", "phases.1.scale=1.0", "optimizer.name=sgd")  # fmt: skip
    small = make_setting(*common, "train.batch_size=6", "train.accumulate=2", run=tmp_path / "a")
    large = make_setting(*common, "train.batch_size=12", run=tmp_path / "b")
    for setting in (small, large):
        Fit(setting).run()
    pairs = zip(small.classifier.parameters(), large.classifier.parameters(), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.best_by=[acuracy]", 'did you mean "accuracy"'),
        ("stop.metric=f1", "stop.metric"),
        ("phases.0.augment=standart", 'did you mean "standard"'),
    ],
)
def test_a_wrong_name_is_found_before_training(make_setting, setting, message):
    with pytest.raises(ConfigError, match=message):
        Fit(make_setting(setting))


def test_an_unknown_layer_is_found_before_training(make_setting):
    with pytest.raises(ModelError, match="layer"):
        Fit(make_setting("phases.1.freeze=until:layr2"))


def test_tensorboard_events_are_written(make_setting):
    pytest.importorskip("tensorboard")
    setting = make_setting("train.tensorboard=true")
    Fit(setting).run()
    assert list(setting.run.tensorboard.rglob("events.out.tfevents.*"))


AVERAGED = ("train.ema_decay=null", "phases.1.epochs=4", "phases.1.freeze_statistics=false",
            "phases.1.average_every=2")  # fmt: skip


def test_stochastic_weight_averages_are_judged_and_training_goes_on_from_its_own_weights(
    make_setting, tmp_path
):
    averaged = make_setting(*AVERAGED, run=tmp_path / "a")
    plain = make_setting(*AVERAGED[:-1], run=tmp_path / "b")
    states = [Fit(setting).run() for setting in (averaged, plain)]
    own, same = (state.classifier.state_dict() for state in states)
    assert all(torch.equal(own[name], same[name]) for name in own)
    ours, theirs = (values(setting, "val", "loss") for setting in (averaged, plain))
    # probe, one epoch of the first phase, then: own, average, own, average
    assert ours[:3] == theirs[:3]
    assert ours[4] == theirs[4]
    assert ours[5] != theirs[5]
    assert states[0].phase_average.num_updates == 2


def test_auxiliary_nets_add_their_share_of_the_loss(make_setting, tmp_path):
    settings = ("model.backbone='torchvision:googlenet'", "model.probe=false", "input.size=64",
                "phases=[{epochs: 1, augment: none}]", "train.ema_decay=null",
                "optimizer.lr=1.0e-9")  # fmt: skip
    losses = []
    for number, weight in enumerate((1.0e-6, 0.3)):
        run = tmp_path / f"run{number}"
        setting = make_setting(*settings, f"loss.auxiliary_weight={weight}", run=run)
        Fit(setting).run()
        losses.append(values(setting, "train", "loss")[0])
    # two nets whose loss is about the head's, -log(1/2) a cell
    assert losses[1] - losses[0] == pytest.approx(2 * 0.3 * 0.7, rel=0.3)


def test_an_auxiliary_weight_without_auxiliary_nets_is_refused(make_setting):
    with pytest.raises(ModelError, match="has no auxiliary nets"):
        make_setting("loss.auxiliary_weight=0.3")


def test_without_phases_the_probe_is_the_model(make_setting):
    setting = make_setting("phases=[]")
    state = Fit(setting).run()
    finish(setting, state)
    assert state.best.main.epoch == 0
    assert state.position.update == 0
    assert len(values(setting, "val", "mean_average_precision")) == 1
    assert (setting.run.model / "weights.safetensors").is_file()


def test_a_profile_tells_every_part_when_it_is_asked_for(make_setting, told):
    setting = make_setting("phases.0.epochs=1").watched_by(told)
    Fit(setting, profile=True).run()
    [shares] = [line for line in told.lines if "of training" in line]
    for part in ("waiting for pictures", "forward", "backward", "optimiser"):
        assert part in shares
    assert any("48 pictures" in line or "24 pictures" in line for line in told.lines)
    told.lines.clear()
    unasked = make_setting("phases.0.epochs=1", run=setting.run.root / "other").watched_by(told)
    Fit(unasked).run()
    assert not [line for line in told.lines if "profile" in line]


def test_the_rest_of_a_run_is_forecast_once_in_a_phase_where_it_holds(
    make_setting, monkeypatch, told
):
    monkeypatch.setattr("finelens.training.forecast._MEASURED_S", 1e-9)
    monkeypatch.setattr("finelens.training.forecast._OFF", math.inf)
    setting = make_setting("phases=[{epochs: 2}, {epochs: 1}]").watched_by(told)
    Fit(setting).run()
    forecasts = [line for line in told.lines if "to the end of the run" in line]
    assert len(forecasts) == 2
    assert forecasts[0].startswith("phase 1: about ")


@pytest.mark.skipif(not psutil.LINUX, reason="only there it is known")
def test_what_other_programs_take_is_told_once_in_a_run(make_setting, monkeypatch, told):
    seconds = itertools.count(step=1000)  # of processors; none is this process's
    times = namedtuple("times", "user idle")
    monkeypatch.setattr("psutil.cpu_times", lambda: times(next(seconds), 0))
    monkeypatch.setattr("finelens.training.other_programs._FIRST_S", 0.0)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    setting = make_setting("phases=[{epochs: 2}, {epochs: 1}]").watched_by(told)
    Fit(setting).run()
    [line] = [line for line in told.lines if "other programs" in line]
    assert line.startswith("phase 1: other programs take ")
    assert "with OMP_NUM_THREADS=1 in the environment" in line


class Checked(Silent):
    """A progress that looks, whenever an epoch begins, where the last checkpoint is."""

    def __init__(self, setting):
        self._checkpoints = Checkpoints(setting.run.checkpoints, minutes=4)
        self.found = []

    def stage(self, title, total):
        state = self._checkpoints.load()
        if title.startswith("epoch") and state is not None:
            self.found.append((state["position"]["phase"], state["position"]["epoch"]))
        return super().stage(title, total)


def test_short_epochs_are_saved_at_the_end_of_a_phase_alone(make_setting):
    setting = make_setting("phases.0.epochs=3", "phases.1.epochs=2")
    checked = Checked(setting)
    Fit(setting.watched_by(checked)).run()
    assert checked.found == [(0, 0), (0, 0), (0, 0), (0, 3), (0, 3)]
    last = Checkpoints(setting.run.checkpoints, minutes=4).load()
    assert last is not None
    assert (last["position"]["phase"], last["position"]["epoch"]) == (1, 2)


def test_long_epochs_are_saved_each(make_setting, monkeypatch):
    monkeypatch.setattr("finelens.training.fit._SAVE_AFTER_EPOCH_S", 0.0)
    setting = make_setting("phases.0.epochs=3")
    checked = Checked(setting)
    Fit(setting.watched_by(checked)).run()
    assert checked.found == [(0, 0), (0, 1), (0, 2), (0, 3)]
