"""The cache folder: where what was read once is kept for the next time, outside any data."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/finelens`` (``~/.cache`` where that is not set); it may not exist.

    The XDG Base Directory Specification: a relative path there is as none.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "finelens"
