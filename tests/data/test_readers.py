import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import torch

from finelens.data import readers
from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset, Told
from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing
from finelens.data.readers import Readers
from finelens.errors import RunError

PREPROCESSING = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def make_dataset(paths, kind=PictureDataset, **options):
    targets = np.arange(2 * len(paths), dtype=np.float32).reshape(-1, 2)
    return kind(paths, targets, Augmentation("standard", PREPROCESSING), **options)


def make_loader(paths, *, num_workers=0):
    dataset = make_dataset(paths)
    return Loader(dataset, batch_size=4, shuffle=True, seed=7, num_workers=num_workers)


def children():
    return {process.pid for process in torch.multiprocessing.active_children()}


def assert_same(batches, others):
    batches, others = list(batches), list(others)
    assert [batch.indices_B.tolist() for batch in batches] == [
        batch.indices_B.tolist() for batch in others
    ]
    for one, other in zip(batches, others, strict=True):
        assert torch.equal(one.images_BCHW, other.images_BCHW)
        assert torch.equal(one.targets_BK, other.targets_BK)
        assert one.errors == other.errors


def keys_of(*batches, seed=0):
    return [[(seed, 0, index) for index in batch] for batch in batches]


@pytest.fixture
def started():
    """Start readers that are closed at the end."""
    opened = []

    def start(dataset, num_processes, *, shares_cores=False, **options):
        readers = Readers(dataset, num_processes, 8, shares_cores=shares_cores, **options)
        opened.append(readers)
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("shares_cores", [True, False])
@pytest.mark.parametrize("num_processes", [1, 2, 5])
def test_batches_of_any_sizes_are_those_read_in_one_process(
    paths, started, num_processes, shares_cores
):
    dataset = make_dataset(paths)
    keys = keys_of([0, 1, 2], [3], [4, 5, 6, 7, 8, 9, 10], [1, 0], [2, 2], [10], [9, 8, 7])
    batches = started(dataset, num_processes, shares_cores=shares_cores).batches(keys)
    assert_same(batches, map(dataset.read_batch, keys))


class Noting(PictureDataset):
    """One that notes in a file which samples were read, each after a while."""

    log = None
    work = staticmethod(lambda: None)

    def read(self, key, into_CHW):
        self.work()
        with self.log.open("a") as file:
            file.write(f"{key[2]}\n")
        return super().read(key, into_CHW)

    def noted(self):
        return len(self.log.read_text().split())


def busy():
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize(("shares_cores", "num_read"), [(True, 2), (False, 8)])
def test_nothing_is_read_meanwhile_where_batches_are_used_on_the_same_cores(
    paths, started, tmp_path, shares_cores, num_read
):
    dataset = make_dataset(paths, Noting)
    dataset.log, dataset.work = tmp_path / "log", busy
    keys = keys_of(*[[0, 1]] * 9)
    batches = started(dataset, 1, shares_cores=shares_cores).batches(keys)
    next(batches)
    ends_soon(lambda: dataset.noted() < num_read)
    time.sleep(0.3)
    assert num_read <= dataset.noted() <= num_read + 1  # both may have taken one at an instant
    assert len(list(batches)) == 8


def test_where_reading_sleeps_it_is_done_ahead_all_the_same(paths, started, tmp_path):
    dataset = make_dataset(paths, Noting)
    dataset.log, dataset.work = tmp_path / "log", lambda: time.sleep(0.05)
    batches = started(dataset, 1, shares_cores=True).batches(keys_of(*[[0, 1]] * 12))
    for _ in range(5):
        next(batches)
    ends_soon(lambda: dataset.noted() < 16)
    assert 16 <= dataset.noted() <= 20  # five batches, and three ahead


def test_processes_that_are_not_forked_give_the_same(paths, started, monkeypatch):
    monkeypatch.setattr(readers, "_START_METHOD", "spawn")
    dataset, keys = make_dataset(paths), keys_of([0, 1, 2, 3], [4, 5], [6, 7, 8])
    assert_same(started(dataset, 1).batches(keys), map(dataset.read_batch, keys))


def test_keys_of_any_size_reach_the_readers(paths, started):
    dataset, keys = make_dataset(paths), keys_of([3, 1], seed=2**64 - 1)
    assert_same(started(dataset, 1).batches(keys), map(dataset.read_batch, keys))


@pytest.mark.gpu
def test_page_locked_batches_are_the_same(paths, started):
    dataset, keys = make_dataset(paths), keys_of([0, 1, 2, 3], [4, 5])
    batches = list(started(dataset, 1, pin_memory=True).batches(keys))
    assert all(batch.images_BCHW.is_pinned() for batch in batches)
    assert_same(batches, map(dataset.read_batch, keys))


class TellingWho(PictureDataset):
    """One whose samples' notes tell who read them; the parent comes late."""

    def read(self, key, into_CHW):
        if not multiprocessing.parent_process():
            time.sleep(1)
        return super().read(key, into_CHW)._replace(note=str(os.getpid()))


def test_batches_smaller_than_the_processes_are_many_keep_all_of_them_at_work(paths, started):
    dataset = make_dataset(paths, TellingWho)
    batches = started(dataset, 4).batches(keys_of([0, 1], [2, 3], [4, 5], [6, 7]))
    who = {note for batch in batches for note in batch.notes}
    assert len(who - {str(os.getpid())}) == 4


class FailingHere(PictureDataset):
    """One that this process cannot read, and loader processes read late."""

    def read(self, key, into_CHW):
        if multiprocessing.parent_process():
            time.sleep(0.5)
            return super().read(key, into_CHW)
        into_CHW.zero_()
        return Told("gone")


def test_a_sample_that_could_not_be_read_here_is_told(paths, started):
    [batch] = started(make_dataset(paths, FailingHere), 1).batches(keys_of([0, 1, 2, 3]))
    assert batch.errors[1:] == ("gone",) * 3
    assert not batch.images_BCHW[1:].any()


def test_a_sample_that_one_of_two_readers_of_it_could_not_read_is_told(paths, started, monkeypatch):
    # as if both had asked at the same instant
    monkeypatch.setattr(readers.Slots, "take", lambda *_: True)
    [batch] = started(make_dataset(paths, FailingHere), 1).batches(keys_of([0, 1, 2, 3]))
    assert batch.errors == ("gone",) * 4


def test_workers_of_a_forgotten_loader_end_although_another_is_alive(paths):
    others = children()
    first = make_loader(paths, num_workers=1)
    next(first.epoch(0))
    [worker] = children() - others
    second = make_loader(paths, num_workers=1)
    next(second.epoch(0))
    del first
    gc.collect()
    assert ends_soon(lambda: worker in children())
    second.close()


def test_dead_worker_is_told_in_one_line(paths):
    others = children()
    loader = make_loader(paths * 2000, num_workers=1)
    batches = loader.epoch(0)
    next(batches)
    [worker] = children() - others
    killing = threading.Timer(0.1, os.kill, (worker, signal.SIGKILL))
    told = r"a loader process died by signal SIGKILL.*num_workers=0"
    with pytest.raises(RunError, match=told) as caught:
        killing.start()
        list(batches)
    assert "\n" not in str(caught.value)
    assert worker not in children()


def test_workers_leave_interrupts_to_the_parent(paths):
    others = children()
    loader = make_loader(paths * 4, num_workers=2)
    batches = loader.epoch(0)
    first = next(batches)
    for worker in children() - others:
        os.kill(worker, signal.SIGINT)
    assert_same([first, *batches], make_loader(paths * 4).epoch(0))


# a process of its own, not a fork of this one, whose threads may hold locks
_READ_UNTIL_INTERRUPTED = """
import os, sys, time
import numpy as np
from finelens.data.dataset import PictureDataset
from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing

paths = sys.argv[1:] * 2000
preprocessing = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
dataset = PictureDataset(paths, np.zeros((len(paths), 2), np.float32), preprocessing)
loader = Loader(dataset, batch_size=4, shuffle=True, seed=7, num_workers=2)
try:
    for _ in loader.epoch(0):
        os.write(1, b".")
        time.sleep(0.05)
except KeyboardInterrupt:
    loader.close()
    os.write(1, b"stopped")
"""


def test_interrupt_ends_the_workers_without_their_tracebacks(paths, tmp_path):
    told = tmp_path / "told"
    command = [sys.executable, "-c", _READ_UNTIL_INTERRUPTED, *paths]
    with told.open("wb") as file:
        # as under a terminal: a process group of its own, which Ctrl-C reaches whole
        reader = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        started = time.monotonic()
        while not told.read_bytes().endswith(b".") and time.monotonic() < started + 120:
            time.sleep(0.05)
        os.killpg(reader.pid, signal.SIGINT)
        assert reader.wait(120) == 0, told.read_text()
    finally:
        reader.kill()
    assert told.read_bytes().strip(b".") == b"stopped"


class Broken(PictureDataset):
    def read(self, key, into_CHW):
        if not multiprocessing.parent_process():
            time.sleep(0.2)  # the reader comes first
        elif key[2] == 4:
            raise ZeroDivisionError("on purpose")
        return super().read(key, into_CHW)


def test_failure_in_a_worker_comes_with_its_traceback(paths):
    others = children()
    dataset = Broken(paths, np.zeros((len(paths), 2), np.float32), PREPROCESSING)
    loader = Loader(dataset, batch_size=4, shuffle=False, seed=0, num_workers=2)
    batches = loader.epoch(0)
    assert next(batches).indices_B.tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError: on purpose"):
        next(batches)
    assert children() <= others


class SlowInReaders(PictureDataset):
    """One whose loader processes take long; notes what is read in this process."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.read_here = []

    def read(self, key, into_CHW):
        if multiprocessing.parent_process():
            time.sleep(0.2)
        else:
            self.read_here.append(key[2])
        return super().read(key, into_CHW)


def test_a_loader_that_waits_reads_the_end_of_the_batch_itself(paths, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    paths = [*paths[:7], str(tmp_path / "broken.jpg"), *paths[8:]]
    dataset = SlowInReaders(paths, np.zeros((len(paths), 2), np.float32), PREPROCESSING,
                            on_error="row")  # fmt: skip
    loader = Loader(dataset, batch_size=8, shuffle=False, seed=0, num_workers=1)
    batches = list(loader.epoch(0))
    plain = PictureDataset(paths, dataset.targets_NK, PREPROCESSING, on_error="row")
    assert_same(batches, Loader(plain, batch_size=8, shuffle=False, seed=0).epoch(0))
    assert dataset.read_here[:3] == [7, 6, 5]
    assert [error is not None for error in batches[0].errors] == [False] * 7 + [True]


def test_batches_outlive_the_memory_they_came_in(paths):
    batches = list(make_loader(paths * 4, num_workers=2).epoch(0))
    assert_same(batches, make_loader(paths * 4).epoch(0))


@pytest.mark.parametrize("num_taken", [1, 2, 3])
def test_epochs_left_one_after_the_other_leave_nothing_behind(paths, num_taken):
    loader = make_loader(paths * 3, num_workers=2)
    left = [loader.epoch(epoch) for epoch in range(3)]
    for batches in left:
        for _ in range(num_taken):
            next(batches)
    assert_same(loader.epoch(3), make_loader(paths * 3).epoch(3))
    with pytest.raises(RuntimeError, match="left for others"):
        next(left[-1])


def ends_soon(is_running):
    last = time.monotonic() + 20
    while is_running() and time.monotonic() < last:
        time.sleep(0.02)
    return not is_running()


def test_workers_end_with_a_forgotten_loader(paths):
    others = children()
    loader = make_loader(paths, num_workers=2)
    next(loader.epoch(0))
    assert len(children() - others) == 2
    del loader
    gc.collect()
    assert ends_soon(lambda: children() - others)


def test_workers_end_when_the_parent_is_killed(paths, tmp_path):
    told = tmp_path / "told"
    command = [sys.executable, "-c", _READ_UNTIL_INTERRUPTED, *paths]
    with told.open("wb") as file, subprocess.Popen(command, stdout=file) as reader:
        started = time.monotonic()
        while not told.read_bytes() and time.monotonic() < started + 120:
            time.sleep(0.05)
        workers = psutil.Process(reader.pid).children()
        reader.kill()
    assert len(workers) == 2
    # nobody waits for an orphan's exit code: a zombie has ended
    assert ends_soon(lambda: any(
        worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers
    ))  # fmt: skip


class Collecting(PictureDataset):
    def read(self, key, into_CHW):
        if multiprocessing.parent_process():
            gc.collect()
        else:
            time.sleep(0.05)  # leaves something to the reader
        return super().read(key, into_CHW)


class Discarded:
    def __init__(self, told):
        self.told = told
        self.cycle = self

    def __del__(self):
        with self.told.open("a") as file:
            file.write(f"{os.getpid()}\n")


def test_workers_do_not_tear_down_what_the_parent_threw_away(paths, tmp_path):
    dataset = Collecting(paths, np.zeros((len(paths), 2), np.float32), PREPROCESSING)
    loader = Loader(dataset, batch_size=4, shuffle=False, seed=0, num_workers=1)
    told = tmp_path / "told"
    gc.collect()
    gc.disable()
    try:
        Discarded(told)
        for _ in loader.epoch(0):
            pass
    finally:
        gc.enable()
    loader.close()
    assert not told.exists()
    gc.collect()
    assert told.read_text().split() == [str(os.getpid())]
