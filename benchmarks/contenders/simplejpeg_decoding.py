"""The limit of any loader: the same files read and decoded by simplejpeg, on one core."""

from __future__ import annotations

import argparse
from pathlib import Path

import simplejpeg
from gate import Gate, serve


def main() -> None:
    """Serve rounds over all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    gate = Gate("simplejpeg")
    paths = sorted(arguments.folder.rglob("*.jpg"))

    def decode_all() -> int:
        for path in paths:
            simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB")
        return len(paths)

    serve(gate, decode_all, "pictures/s")


if __name__ == "__main__":
    main()
