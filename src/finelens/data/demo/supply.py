"""The supply of the demo's data: that of an earlier call where it is whole, else newly drawn."""

from __future__ import annotations

from pathlib import Path

from finelens.data.demo.clip_writing import DEMO_CLIPS_MB, holds_demo_clips, write_demo_clips
from finelens.data.demo.writing import write_demo
from finelens.progress import Progress


def supply_pictures(folder: Path, progress: Progress) -> None:
    """Let a folder hold the demo's pictures: see ``write_demo``, also for what it raises."""
    if not (folder / "manifest.csv").is_file():
        progress.say(f"drawing pictures into {folder}")
        write_demo(folder)


def supply_clips(folder: Path, progress: Progress) -> None:
    """Let a folder hold the demo's clips: see ``write_demo_clips``, also for what it raises."""
    if not holds_demo_clips(folder):
        progress.say(f"drawing clips into {folder}, {DEMO_CLIPS_MB} MB")
        write_demo_clips(folder, progress=progress)
