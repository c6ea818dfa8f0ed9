import time

import numpy as np
import pytest
import torch

from finelens.data.dataset import Batch
from finelens.training.fit import Fit
from finelens.training.profile import BACKWARD, FORWARD, WAIT, Profile


def make_batch(num: int, read_s: float, augment_s: float) -> Batch:
    none = (None,) * num
    views, targets = torch.zeros(num, 3, 2, 2, dtype=torch.uint8), torch.zeros(num, 2)
    return Batch(views, targets, torch.arange(num), none, none, read_s, augment_s)


def test_seconds_of_a_part_add_up_and_are_kept_of_one_that_raised():
    profile = Profile()
    for _ in range(2):
        with profile.part(FORWARD):
            time.sleep(0.02)
    with pytest.raises(ZeroDivisionError), profile.part(BACKWARD):
        time.sleep(0.02)
        raise ZeroDivisionError
    assert 0.04 <= profile.seconds[FORWARD] < 1
    assert 0.02 <= profile.seconds[BACKWARD] < 1


def test_it_says_which_share_each_part_took_and_what_a_picture_cost():
    profile = Profile(seconds={FORWARD: 3.0, BACKWARD: 6.0})
    batches = [make_batch(4, 0.010, 0.002), make_batch(4, 0.006, 0.002)]
    assert list(profile.waited_for(iter(batches))) == batches
    profile.seconds[WAIT] = 1.0
    first, second, last = profile.told(media="clips", num_workers=2, num_cores=2, is_cached=False)
    assert first == (
        "profile: 10.0 s of training: backward 60%, forward 30%, waiting for clips 10%"
    )
    assert "8 clips, read by 2 loader processes and the training process: " in second
    assert "decoding 2.0 ms, resizing and augmentation 0.5 ms" in second
    assert "clips come in time" in last


@pytest.mark.parametrize(("num_workers", "is_advised"), [(0, True), (1, True), (2, False)])
def test_it_says_what_to_do_where_pictures_are_late(num_workers, is_advised):
    profile = Profile(seconds={WAIT: 2.0, FORWARD: 3.0})
    profile.num_read = 1
    *_, last = profile.told(media="pictures", num_workers=num_workers, num_cores=2, is_cached=False)
    assert "pictures hold training up" in last
    assert "data.cache=true" in last
    assert ("a larger train.num_workers" in last) == is_advised


def test_it_advises_no_cache_where_augmentation_takes_longer_than_decoding():
    profile = Profile(seconds={WAIT: 2.0, FORWARD: 3.0}, read_s=1.0, augment_s=1.5, num_read=1)
    *_, last = profile.told(media="pictures", num_workers=2, num_cores=2, is_cached=False)
    assert "hold training up: fewer or cheaper steps of phases.N.augment may help" in last


def test_it_says_who_read():
    profile = Profile(seconds={FORWARD: 3.0})
    profile.num_read = 1
    readers = ["the training process", "1 loader process and the training process"]
    for num_workers, expected in enumerate(readers):
        _, second, _ = profile.told(
            media="pictures", num_workers=num_workers, num_cores=2, is_cached=False
        )
        assert f"read by {expected}: decoding" in second


def test_it_does_not_advise_the_cache_that_is_there():
    profile = Profile(seconds={WAIT: 2.0, FORWARD: 3.0})
    profile.num_read = 1
    *_, last = profile.told(media="pictures", num_workers=2, num_cores=2, is_cached=True)
    assert "data.cache=true" not in last
    assert "hold training up: another run (it finds them in the cache, if" in last


def test_waiting_is_what_the_batches_take():
    def late():
        for _ in range(2):
            time.sleep(0.02)
            yield make_batch(3, 0.001, 0.0)

    profile = Profile()
    for _ in profile.waited_for(late()):
        time.sleep(0.03)
    # not what is done between them
    assert 0.04 <= profile.seconds[WAIT] < 0.04 + 2 * 0.03
    assert profile.num_read == 6


def test_of_nothing_it_says_nothing():
    assert not list(Profile().told(media="clips", num_workers=0, num_cores=2, is_cached=False))


def test_it_tells_nothing_of_reading_where_features_were_kept():
    profile = Profile(seconds={FORWARD: 3.0})
    list(profile.waited_for(iter([make_batch(4, 0.0, 0.0)])))
    (only,) = profile.told(media="clips", num_workers=0, num_cores=2, is_cached=False)
    assert only.startswith("profile: 3.0 s of training: forward 100%")


def test_a_run_tells_of_the_features_that_it_kept(make_setting, told):
    frozen = ("phases.0.freeze=backbone", "phases.0.augment=none", "model.probe=false")
    Fit(make_setting(*frozen).watched_by(told), profile=True).run()
    works = [line.split(" s of ")[1].split(":")[0] for line in told.lines if " s of " in line]
    assert works == ["the features", "training", "validating and saving"]


def test_a_run_tells_of_its_probe_and_of_training(make_setting, told):
    Fit(make_setting("phases.0.epochs=1").watched_by(told), profile=True).run()
    works = [line.split(" s of ")[1].split(":")[0] for line in told.lines if " s of " in line]
    assert works == ["the probe", "training", "validating and saving"]
    assert any("fitting the head" in line for line in told.lines if "the probe" in line)


def test_batches_tell_what_reading_them_took(make_setting):
    batch = next(iter(make_setting().loader("train")))
    assert batch.read_s > 0
    assert batch.augment_s > 0
    assert np.isfinite(batch.read_s + batch.augment_s)
