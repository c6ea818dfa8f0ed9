"""The files that cannot be read, found before any work depends on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from finelens.data.images import read_image
from finelens.errors import DataError

_BATCH = 32


def find_unreadable(
    paths: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> dict[str, str]:
    """Return the path and the reason of each file that is no whole picture, in the order given.

    Every file is decoded to its last pixel, in as many threads as there are processors.

    Args:
        paths: Absolute paths; a missing file is unreadable too.
        progress: Called now and then with the number of files done since the last call.
    """
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch, reasons in zip(batches, threads.map(_reasons, batches), strict=True):
            unreadable |= reasons
            if progress is not None:
                progress(len(batch))
    return unreadable


def _reasons(paths: Sequence[str]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for path in paths:
        try:
            read_image(path)
        except DataError as error:
            reasons[path] = str(error).removeprefix(f"{path}: ")
    return reasons
