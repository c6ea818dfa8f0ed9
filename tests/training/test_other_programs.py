import subprocess
import sys
import time
from collections import namedtuple

import psutil
import pytest

from finelens.training.other_programs import Processors, Watch, advice, taken_by_others

BUSY = "import time\nuntil = time.process_time() + 0.4\nwhile time.process_time() < until: pass"


def processors() -> Processors:
    found = Processors.now()
    assert found is not None
    return found


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere ended children leave no account")
def test_what_this_process_and_its_children_do_is_its_own():
    since = processors()
    until = time.process_time() + 0.4
    while time.process_time() < until:
        pass
    with subprocess.Popen([sys.executable, "-c", f"{BUSY}\ntime.sleep(60)"]) as child:
        deadline = time.monotonic() + 30
        while processors().own_s - since.own_s < 0.75 and time.monotonic() < deadline:
            time.sleep(0.05)
        running = processors()
        child.kill()
    ended = processors()
    assert running.own_s - since.own_s >= 0.75
    # what a child did stays this process's own when it has ended
    assert ended.own_s - since.own_s >= 0.75
    assert ended.busy_s - since.busy_s >= 0.7


def test_idle_waiting_and_nice_processors_are_not_busy(monkeypatch):
    kinds = namedtuple("kinds", "user nice system idle iowait irq softirq steal guest guest_nice")
    monkeypatch.setattr("psutil.cpu_times", lambda: kinds(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
    assert processors().busy_s == 1 + 4 + 32 + 64 + 128


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("psutil.Process.children", psutil.AccessDenied()),
        ("psutil.Process.cpu_times", psutil.NoSuchProcess(1)),
        ("psutil.cpu_times", FileNotFoundError()),
    ],
)
def test_a_system_that_does_not_say_is_asked_no_more(monkeypatch, name, error):
    def refuse(*_arguments, **_settings):
        raise error

    monkeypatch.setattr(name, refuse)
    assert Processors.now() is None
    watch = Watch()
    assert watch.advice() is None
    assert watch.advice() is None


def test_others_took_what_is_busy_and_not_own():
    since = Processors(clock_s=10.0, busy_s=100.0, own_s=50.0)
    assert taken_by_others(since, Processors(14.0, 112.0, 58.0)) == pytest.approx(1.0)
    # clocks tick apart
    assert taken_by_others(since, Processors(14.0, 107.9, 58.0)) == 0.0


@pytest.mark.parametrize(
    ("taken", "num_threads", "num_processors", "number"),
    [
        (0.4, 2, 2, None),  # a little is always going on
        (1.0, 2, 2, 1),
        (2.0, 2, 2, 1),
        (1.0, 1, 2, None),
        (1.3, 8, 8, 6),
        (1.0, 4, 8, None),  # there is room for all
        (30.0, 4, 64, None),
    ],
)
def test_as_many_threads_are_advised_as_have_a_processor(
    taken, num_threads, num_processors, number
):
    told = advice(taken, num_threads=num_threads, num_processors=num_processors)
    if number is None:
        assert told is None
    else:
        assert told is not None
        assert told.startswith(f"other programs take {taken:.1f} of {num_processors} processors")
        assert f"with OMP_NUM_THREADS={number} in the environment" in told
