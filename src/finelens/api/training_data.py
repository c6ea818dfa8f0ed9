"""The data of a run to be made: read, verified and divided as its recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from finelens.config.schema import Recipe
from finelens.data.frame_cache import build_frame_cache
from finelens.data.groups import missing_group_note
from finelens.data.manifest import Manifest
from finelens.data.media import one_of
from finelens.data.sampling import Sampling
from finelens.data.sources.read import read_source
from finelens.data.splits import check_trainable, complete_splits, empty_classes
from finelens.data.verify import Verification, clip_remarks, verify
from finelens.errors import ConfigError, DataError
from finelens.progress import Progress


@dataclass(frozen=True)
class Found:
    """What was found while reading the data: of its files, and of its groups."""

    verification: Verification
    group_note: str | None


def read_recipe_data(recipe: Recipe, progress: Progress) -> Manifest:
    """Return what a recipe's data hold, as their source gives them.

    Raises:
        ConfigError: If the recipe names no data.
        DataError: As ``read_source``.
    """
    data = recipe.data
    if data.path is None:
        raise ConfigError("there is no data: give --data DATA, or data.path in the recipe")
    return read_source(
        data.path,
        source=data.source,
        task=data.task,
        classes=data.classes,
        label_separator=data.label_separator,
        is_clips=recipe.input.frames is not None,
        progress=progress,
    )


def complete_manifest(
    manifest: Manifest, recipe: Recipe, progress: Progress
) -> tuple[Manifest, Found]:
    """Return a recipe's pictures, all readable, all in a split; and what reading them told.

    Raises:
        ConfigError: If the recipe is for another medium or task.
        DataError: If a file cannot be read and the recipe does not leave such files out, or if
            what there is does not suffice for training.
    """
    data = recipe.data
    _check_medium(recipe, manifest)
    note = missing_group_note(manifest)
    if note:
        progress.say(f"note: {note}")
    try:
        recipe.check_task(manifest.task.kind)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    verification = _verify(manifest, recipe, progress)
    manifest = _without_bad_files(manifest, verification.problems, data.bad_files, progress)
    manifest = complete_splits(
        manifest,
        val_fraction=data.val_fraction,
        test_fraction=data.test_fraction,
        seed=recipe.seed,
    )
    if data.test_fraction and "test" not in manifest.splits:
        one = one_of(manifest.media)
        progress.say(
            f"note: there are too few {one}s to cut a test split from, so there will be no test "
            f"figures; give one, or raise data.test_fraction from {data.test_fraction:g}"
        )
    check_trainable(manifest, allow_empty_classes=data.empty_classes == "keep")
    absent = empty_classes(manifest)
    if absent:
        progress.say(
            f"{len(absent)} of {manifest.task.num_classes} classes have no training "
            f"{one_of(manifest.media)}, so nothing can be learned of them: {', '.join(absent[:5])}"
            f"{', ...' if len(absent) > 5 else ''}"
        )
    return manifest, Found(verification, note)


def _check_medium(recipe: Recipe, manifest: Manifest) -> None:
    frames, is_clips = recipe.input.frames, manifest.media == "clips"
    if is_clips and frames is None:
        raise ConfigError(
            f"{recipe.data.path} holds clips, and this recipe is for pictures; choose one for "
            "clips, such as finetune-clips, or set input.frames"
        )
    if frames is not None and not is_clips:
        raise ConfigError(
            f"input.frames: {frames} is for clips, and {recipe.data.path} holds pictures; "
            "choose a recipe for pictures, such as finetune"
        )


def _verify(manifest: Manifest, recipe: Recipe, progress: Progress) -> Verification:
    taken = recipe.input
    with progress.stage(f"reading {manifest.media}", manifest.num_examples) as advance:
        verification = verify(
            manifest,
            cache=build_frame_cache(recipe.data, is_clips=taken.frames is not None),
            progress=lambda num: advance(num, ""),
        )
    if taken.frames is not None:
        for remark in clip_remarks(verification, Sampling(taken.frames, taken.stride, taken.start)):
            progress.say(f"note: {remark}")
    return verification


def _without_bad_files(
    manifest: Manifest, bad_files: Mapping[str, str], policy: str, progress: Progress
) -> Manifest:
    if not bad_files:
        return manifest
    is_bad = pl.col("id").is_in(list(bad_files))
    if policy == "error":
        path = manifest.table.filter(is_bad)["path"][0]
        reason = next(iter(bad_files.values()))
        others = f" (and {len(bad_files) - 1} other files)" if len(bad_files) > 1 else ""
        raise DataError(
            f"{path}: {reason}{others};\nmend or remove it, or leave such files out with "
            "--set data.bad_files=skip"
        )
    # what is handed in has a row a picture, whatever its file holds
    is_handed_in = (pl.col("split") == "test").fill_null(value=False) & pl.col("labels").is_null()
    bad = manifest.table.filter(is_bad & ~is_handed_in)["id"].to_list()
    kept = len(bad_files) - len(bad)
    handed_in = f" ({kept} without labels stay as empty rows of test)" if kept else ""
    files = "1 unreadable file" if len(bad) == 1 else f"{len(bad)} unreadable files"
    progress.say(f"left out {files}{handed_in}; the report names them")
    return manifest.without(bad)
