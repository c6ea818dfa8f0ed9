"""The verification: every file is read before any work depends on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from finelens.data.clip_facts import ClipFacts, probe_clips
from finelens.data.frame_cache import FrameCache
from finelens.data.images import read_image
from finelens.data.manifest import Manifest
from finelens.data.sampling import Sampling
from finelens.errors import DataError

_BATCH = 32


@dataclass(frozen=True)
class Verification:
    """What reading every file of a manifest told, by the ids of its rows, in their order.

    Attributes:
        problems: Why a file cannot be read, of each that cannot.
        facts: Of each clip that can be read; empty of pictures.
    """

    problems: Mapping[str, str]
    facts: Mapping[str, ClipFacts] = field(default_factory=dict)

    @property
    def notes(self) -> dict[str, str]:
        """Return what a person should know of each clip that is cut off, damaged or incomplete."""
        return {name: one.note for name, one in self.facts.items() if one.note is not None}


def verify(
    manifest: Manifest,
    *,
    cache: FrameCache | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Return what reading every file of a manifest tells.

    Every picture and every frame is decoded, in as many threads as there are processors.

    Args:
        manifest: Pictures or clips.
        cache: Of clips: remembers their facts.
        progress: Called now and then with the number of files done since the last call.
    """
    if manifest.media == "pictures":
        reasons = find_unreadable(manifest.paths, progress=progress)
        pairs = zip(manifest.ids, manifest.paths, strict=True)
        return Verification({name: reasons[path] for name, path in pairs if path in reasons})
    places = list(zip(manifest.paths, manifest.spans, strict=True))
    found = probe_clips(places, cache=cache, progress=progress)
    named = list(zip(manifest.ids, found, strict=True))
    return Verification(
        {name: told for name, told in named if isinstance(told, str)},
        {name: told for name, told in named if isinstance(told, ClipFacts)},
    )


def clip_remarks(verification: Verification, sampling: Sampling) -> Iterator[str]:
    """Return sentences on the clips that are not as a recipe would have them.

    Args:
        verification: Of clips.
        sampling: Which frames the recipe takes.
    """
    notes, num_clips = verification.notes, len(verification.facts)
    if notes:
        name, note = next(iter(notes.items()))
        others = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        yield (
            f"{len(notes)} of {num_clips} clips are not whole: {name} is {note}{others}; "
            "the report names them"
        )
    short = [one for one in verification.facts.values() if one.num_frames < sampling.num_enough]
    if short:
        fewest = min(one.num_frames for one in short)
        yield (
            f"{len(short)} of {num_clips} clips have fewer than the {sampling.num_enough} frames "
            f"asked for, the shortest {fewest}: their last frame is repeated"
        )


def find_unreadable(
    paths: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> dict[str, str]:
    """Return the path and the reason of each file that is no whole picture, in the order given.

    Every file is decoded to its last byte, in as many threads as there are processors.

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
            # a smaller picture is made, and all of the file is read
            read_image(path, least_side=1)
        except DataError as error:
            reasons[path] = str(error).removeprefix(f"{path}: ")
    return reasons
