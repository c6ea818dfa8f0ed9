"""Other programs: how much of the processors they take while a run computes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil
import torch

from finelens.data.media import counted

_NOTED = 0.5  # one program beside two threads that never sleep gets two thirds of a processor
_NOT_BUSY = ("idle", "iowait")
_IN_USER = ("guest", "guest_nice")  # Linux counts them there too


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
    def now() -> Processors:
        """Return what they have done up to now."""
        times = psutil.cpu_times()._asdict()
        busy_s = sum(
            seconds for kind, seconds in times.items() if kind not in (*_NOT_BUSY, *_IN_USER)
        )
        own = psutil.Process().cpu_times()
        own_s = own.user + own.system + own.children_user + own.children_system
        for child in psutil.Process().children(recursive=True):
            try:
                of_child = child.cpu_times()
            except psutil.Error:  # it has just ended
                continue
            own_s += of_child.user + of_child.system
        return Processors(time.monotonic(), busy_s, own_s)


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
        f"wait for each other: OMP_NUM_THREADS={num_free} before the command may be several "
        "times as fast (numbers differ by rounding)"
    )


class Watch:
    """Looks, while updates are computed on a CPU, whether other programs hold them up."""

    def __init__(self) -> None:
        self._since = Processors.now()

    def advice(self) -> str | None:
        """Return what to do about what was seen since this was built, if anything."""
        num_processors = psutil.cpu_count()
        if num_processors is None:
            return None
        return advice(
            taken_by_others(self._since, Processors.now()),
            num_threads=torch.get_num_threads(),
            num_processors=num_processors,
        )
