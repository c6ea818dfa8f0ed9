"""Writing the demo's clips: one array of all frames, a table of labels, a picture to look at."""

from __future__ import annotations

import math
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from finelens.data.demo.clip import NUM_FRAMES, SIDE_PX, Frames, draw_clip, draw_stage
from finelens.data.demo.clip_preview import draw_preview
from finelens.data.demo.motion import MOTIONS
from finelens.data.demo.writing import SPLIT_CYCLE
from finelens.errors import DataError
from finelens.progress import Advance, Progress, Silent

CLIPS, TABLE, PREVIEW = "clips.npy", "labels.csv", "preview.png"
NUM_CLIPS = 1792
_CLIP_SHAPE = (NUM_FRAMES, SIDE_PX, SIDE_PX, 3)
DEMO_CLIPS_MB = NUM_CLIPS * math.prod(_CLIP_SHAPE) // 1_000_000
"""What they take on disk."""
_SCENES = 8


def write_demo_clips(
    folder: Path, *, num_clips: int = NUM_CLIPS, seed: int = 0, progress: Progress | None = None
) -> Path:
    """Return the table ``labels.csv`` of a new data set of small synthetic clips.

    The folder gets ``clips.npy``, an array (N, 30, 64, 64, 3) uint8 of 360 KiB a clip; the table
    with the columns ``row`` (from 0), ``label`` (one of seven motions), ``split`` (3/4 train, 1/8
    val, 1/8 test) and ``group``; and ``preview.png``, the first scene's clips. A group is a scene:
    seven clips in a row, one of each motion, of the same actor before the same backdrop; none is
    in two splits. Clip n depends on (seed, n) alone, whatever ``num_clips`` is.

    An array and not video files: what a video's encoder leaves in a frame depends on the frames
    before it, and would tell the motion. Clips of an earlier call that was cut short are drawn
    again.

    Raises:
        DataError: If the folder holds anything else, or cannot be written.
    """
    folder = Path(folder)
    unfinished = [folder / f"{name}.part" for name in (CLIPS, TABLE)]
    try:
        _check_free(folder, {PREVIEW, CLIPS, *(path.name for path in unfinished)})
        folder.mkdir(parents=True, exist_ok=True)
        draw_preview(seed).save(folder / PREVIEW)
        with (progress or Silent()).stage("drawing clips", num_clips) as advance:
            _write_array(unfinished[0], num_clips, seed, advance)
        unfinished[0].replace(folder / CLIPS)
        # the table comes last and whole: where it is, all clips are
        unfinished[1].write_text(_table(num_clips), encoding="utf-8")
        unfinished[1].replace(folder / TABLE)
    except OSError as error:
        raise DataError(f"demo clips: {folder} cannot be written: {error}") from error
    return folder / TABLE


def holds_demo_clips(folder: Path) -> bool:
    """Return whether a folder holds all that a ``write_demo_clips`` writes, and of its form."""
    try:
        shape = np.load(folder / CLIPS, mmap_mode="r", allow_pickle=False).shape
        table = (folder / TABLE).read_text(encoding="utf-8")
    except (EOFError, OSError, ValueError):
        return False
    return shape[1:] == _CLIP_SHAPE and table == _table(shape[0])


def _check_free(folder: Path, names: Container[str]) -> None:
    others = sorted(item.name for item in folder.iterdir()) if folder.exists() else []
    other = next((name for name in others if name not in names), None)
    if other is not None:
        raise DataError(
            f'demo clips: {folder} holds "{other}" and no whole set of demo clips; move the '
            "folder away, or name another one"
        )


def _table(num_clips: int) -> str:
    motions, lines = list(MOTIONS), ["row,label,split,group"]
    for row in range(num_clips):
        scene, number = divmod(row, len(motions))
        split = SPLIT_CYCLE[scene % len(SPLIT_CYCLE)]
        lines.append(f"{row},{motions[number]},{split},scene-{scene:04d}")
    return "\n".join(lines) + "\n"


def _write_array(path: Path, num_clips: int, seed: int, advance: Advance) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (num_clips, *_CLIP_SHAPE)}
    num_scenes = -(-num_clips // len(MOTIONS))
    # Pillow and numpy let go of the interpreter for much of the work
    with path.open("wb") as file, ThreadPoolExecutor() as pool:
        np.lib.format.write_array_header_1_0(file, header)
        # not all scenes at once: clips that wait for the disk take memory
        for start in range(0, num_scenes, _SCENES):
            scenes = range(start, min(start + _SCENES, num_scenes))
            left = num_clips - start * len(MOTIONS)
            drawn = pool.map(partial(_draw_scene, seed), scenes)
            clips = list(islice((clip for scene in drawn for clip in scene), left))
            file.writelines(clip.data for clip in clips)
            advance(len(clips), "")


def _draw_scene(seed: int, scene: int) -> list[Frames]:
    stage = draw_stage(seed, scene)
    return [draw_clip(stage, motion, seed, scene) for motion in MOTIONS]
