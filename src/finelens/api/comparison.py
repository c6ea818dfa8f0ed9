"""The verb that reads several runs: compare.

Apart from the others, which need neither its figures nor its statistics and start sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finelens.api.stored_scores import common_split
from finelens.reporting.comparison import Comparison, compare_runs
from finelens.reporting.comparison_page import check_comparison_folder, write_comparison
from finelens.runs.directory import open_run


def compare(
    runs: Sequence[str | Path], *, split: str | None = None, out: str | Path | None = None
) -> Comparison:
    """Return runs side by side, tested against one another on the pictures they share.

    With ``out``, also write comparison.html, comparison.csv (the table) and pairs.csv (the
    tests).

    Args:
        runs: Complete runs.
        split: What they are compared on; None takes test if all were evaluated on it, else val.
        out: A new folder, or that of an earlier comparison.

    Raises:
        ConfigError: If ``out`` is a file, or a folder that holds other things.
        RunError: If a run is not complete, or fewer than one is given.
    """
    directories = [open_run(run) for run in runs]
    if out is not None:
        check_comparison_folder(Path(out))
    comparison = compare_runs(directories, split or common_split(directories))
    if out is not None:
        write_comparison(Path(out), comparison)
    return comparison
