"""Other programs: whether they take processors that a run's threads wait for."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil
import torch

from finelens.data.media import counted
from finelens.data.workers import count_cores

_NOTED = 0.5  # one program beside two threads that never sleep gets two thirds of a processor
_FIRST_S, _LATER_S = 4.0, 30.0
_BUSY = ("user", "system", "irq", "softirq", "steal")
"""Of what a processor does; ``nice`` programs take what others leave."""


@dataclass(frozen=True)
class Processors:
    """What a machine's processors have done so far.

    Attributes:
        clock_s: When it was looked at, seconds.
        busy_s: Seconds of all processors; also those that a virtual machine was not given.
        own_s: Of these, the seconds of this process and of those that it started.
    """

    clock_s: float
    busy_s: float
    own_s: float

    @staticmethod
    def now() -> Processors | None:
        """Return what they have done up to now; None where the system does not say."""
        try:
            times = psutil.cpu_times()._asdict()
            this = psutil.Process()
            own = this.cpu_times()
            own_s = own.user + own.system + own.children_user + own.children_system
            own_s += sum(_seconds(child) for child in this.children(recursive=True))
        except (psutil.Error, OSError):
            return None
        return Processors(time.monotonic(), sum(times.get(kind, 0.0) for kind in _BUSY), own_s)


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it has just ended
        return 0.0
    return times.user + times.system


def taken_by_others(since: Processors, until: Processors) -> float:
    """Return how many processors other programs kept busy between two looks."""
    others_s = (until.busy_s - since.busy_s) - (until.own_s - since.own_s)
    return max(0.0, others_s / (until.clock_s - since.clock_s))


def advice(taken: float, *, num_threads: int, num_processors: int) -> str | None:
    """Return what to do about other programs; None: there is room for all.

    A layer's threads wait for the last of them: where one has no processor, all stand still. With
    one of two processors taken, updates of a MobileNetV2 at 96 pixels took four times as long as
    alone, and by one thread 1.7 times as long.

    Args:
        taken: Processors that other programs keep busy.
        num_threads: That a layer is computed by.
        num_processors: Of the machine.
    """
    num_free = max(1, int(num_processors - taken))
    if taken < _NOTED or num_threads <= num_free:
        return None
    return (
        f"other programs take {taken:.1f} of {counted(num_processors, 'processors')}, and threads "
        f"wait for each other: with OMP_NUM_THREADS={num_free} in the environment a run may be "
        "faster, of a small network several times (numbers differ by rounding)"
    )


class Watch:
    """Looks, while updates are computed, whether other programs hold them up; says so once.

    Only on Linux, elsewhere ended processes leave no account, and where this process may use all
    processors of the machine.
    """

    def __init__(self) -> None:
        self._is_over = not psutil.LINUX or psutil.cpu_count() != count_cores()
        self._since: Processors | None = None
        self._stretch_s = _FIRST_S

    def advice(self) -> str | None:
        """Return what to do about them, when it is first seen; call after every update."""
        if self._is_over:
            return None
        if self._since is not None and time.monotonic() < self._since.clock_s + self._stretch_s:
            return None
        since, self._since = self._since, Processors.now()
        if since is None or self._since is None:
            self._is_over = self._since is None
            return None
        self._stretch_s = _LATER_S
        told = advice(
            taken_by_others(since, self._since),
            num_threads=torch.get_num_threads(),
            num_processors=count_cores(),
        )
        self._is_over = told is not None
        return told
