"""The verb that looks at data before anything is trained: check."""

from __future__ import annotations

from pathlib import Path

from finelens.config.schema import DataConfig
from finelens.data.audit import Audit, audit
from finelens.data.frame_cache import build_frame_cache
from finelens.data.sources.read import read_source
from finelens.data.verify import verify
from finelens.progress import Progress, Silent


def check(
    data: str | Path,
    *,
    source: str = "auto",
    task: str = "auto",
    cache: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Return what is good and bad about pictures or clips and their labels, without training.

    Args:
        data: Class folders, a table, Pascal VOC, A2D, UCF-11, arrays or folders of frames.
        source: The on-disk format; ``auto`` looks at the path.
        task: ``auto``, ``multi-class`` or ``multi-label``.
        cache: Whether the facts of clips are kept, so that the next time, and training, need not
            decode them for these again.
        progress: Who watches.

    Raises:
        DataError: If the source cannot be read at all.
    """
    progress = progress or Silent()
    manifest = read_source(data, source=source, task=task, progress=progress)
    media = manifest.media
    kept = build_frame_cache(DataConfig(), is_clips=media == "clips") if cache else None
    with progress.stage(f"reading {media}", manifest.num_examples) as advance:
        verification = verify(manifest, cache=kept, progress=lambda num: advance(num, ""))
    with progress.stage("looking for duplicates", manifest.num_examples) as advance:
        return audit(manifest, verification, progress=lambda num: advance(num, ""))
