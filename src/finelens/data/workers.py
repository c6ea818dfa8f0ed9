"""The workers: how many processes read."""

from __future__ import annotations

import os
from typing import Literal

_FEW_EXAMPLES = 256  # read sooner than processes start
_MOST_WORKERS = 8


def resolve_workers(num_workers: Literal["auto"] | int, num_examples: int) -> int:
    """Return a number of loader processes; ``auto`` is one a core, at most 8.

    It is 0 on a single core and for fewer than 256 pictures, which are read sooner than
    processes start.
    """
    if num_workers != "auto":
        return num_workers
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    num_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return 0 if num_cores == 1 or num_examples < _FEW_EXAMPLES else min(num_cores, _MOST_WORKERS)
