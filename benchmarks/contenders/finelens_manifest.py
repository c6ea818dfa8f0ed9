"""A table read, validated and split once, in a process of its own: seconds and peak memory."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from finelens.data.manifest import Manifest
from finelens.data.sources.read import read_source
from finelens.data.splits import check_trainable, complete_splits

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of what getrusage tells


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    manifest = read_source(arguments.table)
    read_at = time.perf_counter()
    manifest: Manifest = complete_splits(manifest, val_fraction=0.15, test_fraction=0.15, seed=0)
    check_trainable(manifest)
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = {
        "value": ended - started,
        "extra": {
            "read_s": read_at - started,
            "split_s": ended - read_at,
            "num_rows": manifest.num_examples,
            "peak_mb": peak * _UNIT / 1e6,
            "peak_before_mb": peak_before * _UNIT / 1e6,
        },
    }
    arguments.out.write_text(json.dumps(content))


if __name__ == "__main__":
    main()
