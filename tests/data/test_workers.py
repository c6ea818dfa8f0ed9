import os

import pytest

from finelens.data.workers import count_cores, resolve_workers


@pytest.fixture
def with_cores(monkeypatch):
    """Return a function that gives this process so many cores."""

    def set_cores(num_cores):
        # macOS has no such function
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(num_cores)), raising=False)

    return set_cores


def test_workers_that_were_asked_for_are_obeyed():
    assert resolve_workers(3, 10) == 3
    assert resolve_workers(0, 10**6, frames=8) == 0


@pytest.mark.parametrize(("num_cores", "expected"), [(1, 0), (2, 2), (8, 8), (64, 16)])
def test_there_is_one_a_core_of_many_pictures(with_cores, num_cores, expected):
    with_cores(num_cores)
    assert resolve_workers("auto", 256) == expected
    assert resolve_workers("auto", 255) == 0


@pytest.mark.parametrize(("num_cores", "expected"), [(1, 0), (2, 1), (8, 7), (64, 16)])
def test_a_core_is_left_to_the_process_that_feeds_a_gpu(with_cores, num_cores, expected):
    with_cores(num_cores)
    assert resolve_workers("auto", 256, feeds_gpu=True) == expected


def test_training_processes_share_the_cores(with_cores, monkeypatch):
    with_cores(8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # as torchrun says
    assert resolve_workers("auto", 256) == 2
    assert resolve_workers("auto", 256, feeds_gpu=True) == 1


def test_the_frames_of_clips_count(with_cores):
    with_cores(4)
    assert resolve_workers("auto", 16, frames=16) == 4
    assert resolve_workers("auto", 15, frames=16) == 0


def test_cores_are_counted_without_affinity_too(monkeypatch, with_cores):
    with_cores(3)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert count_cores() == os.cpu_count()
