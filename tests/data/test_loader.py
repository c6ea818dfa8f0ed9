import random
from pathlib import Path

import numpy as np
import pytest
import torch

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.loader import Loader, epoch_order
from finelens.data.preprocessing import Preprocessing
from finelens.errors import DataError

PREPROCESSING = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def make_dataset(paths, **options):
    targets = np.arange(2 * len(paths), dtype=np.float32).reshape(-1, 2)
    augmentation = Augmentation("standard", PREPROCESSING)
    return PictureDataset(paths, targets, augmentation, **options)


def make_loader(paths, *, shuffle=True, num_workers=0, seed=7, **options):
    dataset = make_dataset(paths, **options)
    return Loader(dataset, batch_size=4, shuffle=shuffle, seed=seed, num_workers=num_workers)


def flat(lists):
    return [item for items in lists for item in items]


def indices(batches):
    return [batch.indices_B.tolist() for batch in batches]


def children():
    return {process.pid for process in torch.multiprocessing.active_children()}


def assert_same(batches, others):
    batches, others = list(batches), list(others)
    assert indices(batches) == indices(others)
    for one, other in zip(batches, others, strict=True):
        assert torch.equal(one.images_BCHW, other.images_BCHW)
        assert torch.equal(one.targets_BK, other.targets_BK)
        assert one.errors == other.errors


def test_an_epoch_gives_every_sample_once_and_keeps_the_small_last_batch(paths):
    loader = make_loader(paths)
    batches = list(loader.epoch(0))
    assert len(batches) == len(loader) == 3
    assert [len(batch.indices_B) for batch in batches] == [4, 4, 3]
    assert sorted(flat(indices(batches))) == list(range(11))


def test_unshuffled_epochs_keep_the_order_of_the_dataset(paths):
    loader = make_loader(paths, shuffle=False)
    assert flat(indices(loader)) == list(range(11))
    assert indices(loader.epoch(3)) == indices(loader)


def test_order_depends_on_seed_and_epoch_alone():
    order = epoch_order(50, 1, 2, shuffle=True)
    assert np.array_equal(order, epoch_order(50, 1, 2, shuffle=True))
    assert sorted(order) == list(range(50))
    for other in (epoch_order(50, 2, 2, shuffle=True), epoch_order(50, 1, 3, shuffle=True)):
        assert not np.array_equal(order, other)


def test_seed_changes_the_views_of_an_unshuffled_epoch_too(paths):
    one, other = (next(iter(make_loader(paths, shuffle=False, seed=seed))) for seed in (1, 2))
    assert one.indices_B.tolist() == other.indices_B.tolist()
    assert not torch.equal(one.images_BCHW, other.images_BCHW)


def test_two_workers_give_the_batches_of_none_over_several_epochs(paths):
    alone, helped = make_loader(paths), make_loader(paths, num_workers=2)
    for epoch in (0, 1, 4):
        assert_same(alone.epoch(epoch), helped.epoch(epoch))
    assert_same(alone.epoch(2, skip=1), helped.epoch(2, skip=1))


def test_workers_stay_for_the_next_epoch(paths):
    others = children()
    loader = make_loader(paths, num_workers=2)
    list(loader.epoch(0))
    workers = children() - others
    list(loader.epoch(1))
    assert children() - others == workers
    assert len(workers) == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_left_in_the_middle_does_not_disturb_the_next(paths, num_workers):
    loader = make_loader(paths, num_workers=num_workers)
    next(loader.epoch(0))
    assert_same(loader.epoch(1), make_loader(paths).epoch(1))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_skipped_batches_leave_the_rest_of_the_epoch_as_it_is(paths, num_workers):
    loader = make_loader(paths, num_workers=num_workers)
    whole = list(make_loader(paths).epoch(5))
    for skip in (0, 1, 2, 3, 9):
        assert_same(loader.epoch(5, skip=skip), whole[skip:])


def test_skipped_pictures_are_not_read(paths):
    order = epoch_order(11, 7, 0, shuffle=True)
    missing = [path if n not in order[:4] else "gone.jpg" for n, path in enumerate(paths)]
    assert len(list(make_loader(missing).epoch(0, skip=1))) == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_global_random_states_are_neither_read_nor_changed(paths, num_workers):
    loader = make_loader(paths, num_workers=num_workers)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    first = list(loader.epoch(0))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        assert_same(loader.epoch(0), first)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unreadable_picture_reaches_the_parent_as_one_line(paths, tmp_path, num_workers):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    loader = make_loader([*paths[:5], str(bad)], num_workers=num_workers)
    with pytest.raises(DataError) as caught:
        list(loader.epoch(0))
    assert str(caught.value).startswith(f"{bad}: not a picture")
    assert str(caught.value).endswith("data.bad_files=skip")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unreadable_picture_keeps_its_row_when_scoring(paths, tmp_path, num_workers):
    bad = str(tmp_path / "missing.jpg")
    files = [*paths[:2], bad, *paths[2:5]]
    loader = make_loader(files, shuffle=False, num_workers=num_workers, on_error="row")
    batches = list(loader)
    assert flat(indices(batches)) == list(range(6))
    errors = [error for batch in batches for error in batch.errors]
    assert errors == [
        None,
        None,
        f"{bad}: cannot be opened: No such file or directory",
        *[None] * 3,
    ]
    assert not batches[0].images_BCHW[2].any()


def test_failed_epoch_ends_its_workers_and_the_next_starts_new_ones(paths, tmp_path):
    others = children()
    loader = make_loader([*paths[:4], str(tmp_path / "later.jpg")], num_workers=2)
    with pytest.raises(DataError):
        list(loader.epoch(0))
    assert children() <= others
    (tmp_path / "later.jpg").write_bytes(Path(paths[4]).read_bytes())
    assert_same(loader.epoch(0), make_loader(paths[:5]).epoch(0))
    loader.close()
    assert children() <= others


@pytest.mark.parametrize("num_workers", [0, 2])
def test_channels_of_views_lie_last_in_memory(paths, num_workers):
    batch = next(make_loader(paths, num_workers=num_workers).epoch(0))
    assert batch.images_BCHW.stride() == (768, 1, 48, 3)


def test_a_rest_of_one_joins_the_batch_before_it_in_shuffled_epochs_alone(paths):
    loader = Loader(make_dataset(paths[:9]), batch_size=4, shuffle=True, seed=7)
    batches = indices(loader)
    assert [len(batch) for batch in batches] == [4, 5] == [4, loader.batch_sizes(1)[1]]
    assert sorted(flat(batches)) == list(range(9))
    assert indices(loader.epoch(0, skip=1)) == batches[1:]
    unshuffled = Loader(make_dataset(paths[:9]), batch_size=4, shuffle=False, seed=7)
    assert [len(batch) for batch in indices(unshuffled)] == [4, 4, 1]


def test_no_process_of_two_is_left_with_one_picture(paths):
    loaders = [
        Loader(make_dataset(paths), batch_size=4, shuffle=True, seed=7, shard=(n, 2))
        for n in range(2)
    ]
    sizes = [[len(batch) for batch in indices(loader)] for loader in loaders]
    assert sizes == [[2, 4], [2, 3]]
    assert [loaders[1].batch_sizes(number) for number in range(2)] == [(2, 4), (3, 7)]


def make_long_loader(paths, *, batches_per_epoch, num_workers=0, shard=(0, 1)):
    return Loader(
        make_dataset(paths), batch_size=4, shuffle=True, seed=7, num_workers=num_workers,
        batches_per_epoch=batches_per_epoch, shard=shard,
    )  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 5, 7])
def test_epochs_of_any_length_are_one_row_of_passes(paths, length):
    loader = make_long_loader(paths, batches_per_epoch=length)
    assert len(loader) == length
    passes = make_loader(paths)
    expected = flat([list(passes.epoch(turn)) for turn in range(5)])[: 2 * length]
    assert_same(flat([list(loader.epoch(epoch)) for epoch in range(2)]), expected)


def test_a_long_epoch_draws_a_sample_anew_each_time(paths):
    batches = list(make_long_loader(paths, batches_per_epoch=6).epoch(0))
    views = {}
    for batch in batches:
        for index, image in zip(batch.indices_B.tolist(), batch.images_BCHW, strict=True):
            views.setdefault(index, []).append(image)
    assert all(len(drawn) == 2 for drawn in views.values())
    assert not any(torch.equal(first, second) for first, second in views.values())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_views_come_again_in_another_order(paths, num_workers):
    loader = Loader(
        make_dataset(paths), batch_size=4, shuffle=True, seed=7, num_workers=num_workers,
        num_views=2,
    )  # fmt: skip
    views = []
    for epoch in range(4):
        batches = list(loader.epoch(epoch))
        order = torch.cat([batch.indices_B for batch in batches])
        views.append((order, torch.cat([batch.images_BCHW for batch in batches])[order.argsort()]))
    assert torch.equal(views[0][1], views[2][1])
    assert torch.equal(views[1][1], views[3][1])
    assert not torch.equal(views[0][1], views[1][1])
    assert not torch.equal(views[0][0], views[2][0])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_long_epoch_can_be_entered_anywhere(paths, num_workers):
    whole = list(make_long_loader(paths, batches_per_epoch=7).epoch(1))
    loader = make_long_loader(paths, batches_per_epoch=7, num_workers=num_workers)
    for skip in (0, 3, 6):
        assert_same(loader.epoch(1, skip=skip), whole[skip:])
    loader.close()


def test_sizes_of_a_long_epoch_are_those_of_its_batches(paths):
    shards = [make_long_loader(paths[:9], batches_per_epoch=3, shard=(n, 2)) for n in range(2)]
    for epoch in range(3):
        parts = [indices(shard.epoch(epoch)) for shard in shards]
        for n, (one, other) in enumerate(zip(*parts, strict=True)):
            assert shards[0].batch_sizes(n) == (len(one), len(one + other))
            assert shards[1].batch_sizes(n) == (len(other), len(one + other))
        num_samples = {shard.num_samples(epoch) for shard in shards}
        assert num_samples == {len(flat(flat(parts)))}
