"""CUDA graphs: what a device is handed kernel by kernel is recorded once and replayed in one call.

Nothing else differs: the same kernels compute, in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class HostDrawError(Exception):
    """A network draws on the host what it computes with: each replay would have the same draw."""


@contextmanager
def recorded(graph: torch.cuda.CUDAGraph, pool: Any = None) -> Iterator[None]:
    """Record what the block hands to the running stream.

    Args:
        graph: What replays it.
        pool: The memory of a graph that is always replayed before; None: memory of its own.
    """
    stream = torch.cuda.current_stream()
    # other threads may use the device meanwhile: their calls do not break the recording
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        yield


@contextmanager
def device_state_kept(device: torch.device) -> Iterator[None]:
    """Put the device's random state back."""
    index = torch.cuda.current_device() if device.index is None else device.index
    generator = torch.cuda.default_generators[index]
    state = generator.get_state()
    try:
        yield
    except BaseException:
        # a recording that fails leaves the generator waiting for its end: another takes its place
        other = torch.Generator(device)
        other.set_state(state)
        generator.graphsafe_set_state(other.graphsafe_get_state())
        raise
    generator.set_state(state)


@contextmanager
def no_draws_on_host() -> Iterator[None]:
    """Put the host's random states back; raise where the block changed one.

    Raises:
        HostDrawError: At the end.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
        is_same = (
            random.getstate() == states[0]
            and str(np.random.get_state()) == str(states[1])  # noqa: NPY002
            and torch.equal(torch.get_rng_state(), states[2])
        )
        if not is_same:
            raise HostDrawError("the network draws random numbers on the processor")
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
