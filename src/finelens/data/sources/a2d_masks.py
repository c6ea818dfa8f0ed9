"""The masks of A2D: a label for every pixel, in MATLAB files."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finelens.errors import DataError

_DATASET = "reS_id"
_BATCH = 16


def read_mask(path: str | Path) -> NDArray[np.integer]:
    """Return the label of each pixel, shape (H, W), as the mask lies on its picture.

    MATLAB writes an array column by column, so that HDF5 tells its transpose: it is turned back.

    Raises:
        DataError: If the file is missing, is no MATLAB v7.3 file, or holds no such mask.
    """
    import h5py  # here: of all sources only this one needs it

    try:
        # locks fail on some network file systems, and nobody writes
        with h5py.File(path, "r", locking=False) as file:
            stored = file.get(_DATASET)
            if not isinstance(stored, h5py.Dataset):
                raise _unusable(path, f"holds no dataset {_DATASET}")
            if stored.ndim != 2 or stored.dtype.kind not in "iuf":
                kind = f"shape {stored.shape} and type {stored.dtype}"
                raise _unusable(path, f"holds a {_DATASET} of {kind}, not a table of numbers")
            mask_HW = stored[()].T
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip("'\"").splitlines()[0]
        raise _unusable(path, f"cannot be read ({reason})") from error
    if mask_HW.dtype.kind != "f":
        return mask_HW
    with np.errstate(invalid="ignore"):
        whole_HW = mask_HW.astype(np.int64)
    if not np.array_equal(whole_HW, mask_HW):
        raise _unusable(path, f"holds a {_DATASET} with values that are not whole numbers")
    return whole_HW


def read_values(
    paths: Sequence[str], *, num_workers: int, advance: Callable[[int], None]
) -> list[list[int]]:
    """Return the distinct labels in each mask, ascending.

    Args:
        paths: N masks.
        num_workers: Processes that read; HDF5 has one lock, so that threads wait for each other.
            0 reads in this one.
        advance: Called now and then with the number of masks done since the last call.

    Raises:
        DataError: Naming the first mask that cannot be read, or that a process died.
    """
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    values: list[list[int]] = []
    for batch in _read_batches(batches, num_workers):
        values += batch
        advance(len(batch))
    return values


def _read_batches(batches: Iterable[Sequence[str]], num_workers: int) -> Iterator[list[list[int]]]:
    if num_workers == 0:
        yield from map(_values_of, batches)
        return
    try:
        with ProcessPoolExecutor(num_workers, initializer=_begin_process) as processes:
            yield from processes.map(_values_of, batches)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that reads annotations died, perhaps for want of memory; free some and try "
            "again"
        ) from error


def _values_of(paths: Sequence[str]) -> list[list[int]]:
    return [np.unique(read_mask(path)).tolist() for path in paths]


def _begin_process() -> None:
    # Ctrl-C reaches the whole process group; the parent ends its processes itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # what the parent has thrown away may own threads (a decoder, a pool); they do not exist
    # here, and to tear it down would wait for them without end
    gc.freeze()


def _unusable(path: str | Path, reason: str) -> DataError:
    return DataError(f'annotation "{path}" {reason}; put the original MATLAB v7.3 file back')
