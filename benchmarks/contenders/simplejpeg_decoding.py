"""The limit of any loader: the same files read and decoded by simplejpeg, a process a core."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import simplejpeg
from gate import Gate, serve

_BATCH = 32


def decode(paths: Sequence[Path]) -> int:
    """Return how many pictures were decoded: all."""
    for path in paths:
        simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB")
    return len(paths)


def main() -> None:
    """Serve rounds over all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    gate = Gate("simplejpeg")
    paths = sorted(arguments.folder.rglob("*.jpg"))
    if arguments.processes == 1:
        serve(gate, lambda: decode(paths), "pictures/s")
        return
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    with multiprocessing.Pool(arguments.processes) as pool:
        serve(gate, lambda: sum(pool.imap_unordered(decode, batches)), "pictures/s")


if __name__ == "__main__":
    main()
