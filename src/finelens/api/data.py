"""The verb that looks at data before anything is trained: check."""

from __future__ import annotations

from pathlib import Path

from finelens.data.audit import Audit, audit
from finelens.data.clip_facts import find_unreadable_clips
from finelens.data.sources.read import read_source
from finelens.data.verify import find_unreadable
from finelens.progress import Progress, Silent


def check(
    data: str | Path, *, source: str = "auto", task: str = "auto", progress: Progress | None = None
) -> Audit:
    """Return what is good and bad about pictures and labels, without training.

    Args:
        data: A folder of class folders, a table, Pascal VOC or A2D.
        source: The on-disk format; ``auto`` looks at the path.
        task: ``auto``, ``multi-class`` or ``multi-label``.
        progress: Who watches.

    Raises:
        DataError: If the source cannot be read at all.
    """
    progress = progress or Silent()
    manifest = read_source(data, source=source, task=task, progress=progress)
    with progress.stage(f"reading {manifest.media}", manifest.num_examples) as advance:
        find = find_unreadable_clips if manifest.media == "clips" else find_unreadable
        problems = find(manifest.paths, progress=lambda num: advance(num, ""))
    with progress.stage("looking for duplicates", manifest.num_examples) as advance:
        return audit(manifest, problems, progress=lambda num: advance(num, ""))
