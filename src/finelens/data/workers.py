"""The workers: how many processes read."""

from __future__ import annotations

import os
from typing import Literal

_FEW_PICTURES = 256  # read sooner than processes start
_MOST_WORKERS = 16


def resolve_workers(
    num_workers: Literal["auto"] | int,
    num_examples: int,
    *,
    frames: int | None = None,
    feeds_gpu: bool = False,
) -> int:
    """Return a number of loader processes; ``auto`` is one a core, at most 16.

    Training processes on one machine share its cores, and each keeps one of several for itself
    where it feeds a GPU. It is 0 on a single core and for fewer than 256 pictures, which are read
    sooner than processes start.

    Args:
        num_workers: What was asked for.
        num_examples: Pictures or clips that are read.
        frames: T, pictures of each clip; None: they are single pictures.
        feeds_gpu: Whether this process hands the batches over to a GPU.
    """
    if num_workers != "auto":
        return num_workers
    num_cores = max(1, count_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    is_soon_read = num_examples * (frames or 1) < _FEW_PICTURES
    return 0 if num_cores == 1 or is_soon_read else min(num_cores - int(feeds_gpu), _MOST_WORKERS)


def count_cores() -> int:
    """Return how many processor cores this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
