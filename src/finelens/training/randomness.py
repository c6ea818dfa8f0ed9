"""The random state: keyed by position, so that resuming needs no history."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_batch(seed: int, epoch: int, batch: int, *, process: int = 0) -> None:
    """Key torch's generators (dropout, stochastic depth) by (seed, epoch, batch, process) alone."""
    key = np.random.SeedSequence((seed, epoch, batch, process)).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(key))


def reseed_epoch(seed: int, epoch: int) -> None:
    """Seed python, numpy and torch on every device with seed + epoch.

    The per-epoch reseeding of the A2D projects: streams then run on within the epoch.
    """
    random.seed(seed + epoch)
    np.random.seed(seed + epoch)  # noqa: NPY002  # the global generator is what is reseeded
    torch.manual_seed(seed + epoch)


@contextmanager
def fixed_cudnn(is_wanted: bool) -> Iterator[None]:
    """Let cuDNN choose deterministic kernels while it lasts, if wanted; as it was, afterwards."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    if is_wanted:
        cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def random_state() -> dict[str, Any]:
    """Return the state of every global generator, as tensors, numbers and lists."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, internal, gauss_next = random.getstate()
    return {
        "python": [version, list(internal), gauss_next],
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every global generator to a state of ``random_state``."""
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
