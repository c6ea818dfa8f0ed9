import os

from finelens.data.workers import resolve_workers


def test_workers_are_chosen_for_auto_and_obeyed_otherwise():
    assert resolve_workers(3, 10) == 3
    assert resolve_workers(0, 10**6) == 0
    assert resolve_workers("auto", 100) == 0
    num_cores = len(os.sched_getaffinity(0))
    assert resolve_workers("auto", 10**6) == (0 if num_cores == 1 else min(num_cores, 8))
