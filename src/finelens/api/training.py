"""The verbs that make a run: train, resume and demo."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from finelens.api.environment import describe_environment
from finelens.config.load import dump_recipe, load_recipe, parse_recipe, read_yaml
from finelens.config.schema import Recipe
from finelens.config.settings import apply_setting
from finelens.data.demo.supply import supply_clips, supply_pictures
from finelens.data.frame_cache import build_frame_cache
from finelens.data.groups import missing_group_note
from finelens.data.manifest import Manifest, read_manifest
from finelens.data.media import one_of
from finelens.data.sampling import Sampling
from finelens.data.sources.read import read_source
from finelens.data.splits import check_trainable, complete_splits, empty_classes
from finelens.data.verify import Verification, clip_remarks, verify
from finelens.errors import ConfigError, DataError, RunError, typed
from finelens.evaluation.scores import write_table
from finelens.progress import Progress, Silent
from finelens.reporting.report import write_report
from finelens.runs.directory import (
    RunDirectory,
    check_new_run,
    create_run,
    open_run,
    read_json,
    write_json_atomic,
    write_text_atomic,
)
from finelens.training.finish import finish
from finelens.training.fit import Fit
from finelens.training.interruption import Heedful, Interrupted, Interruption
from finelens.training.phases import check_augmentations
from finelens.training.resume import has_state
from finelens.training.setting import Setting, build_setting

DEFAULT_RECIPE = "finetune"


def train(
    recipe: str | Path | Recipe = DEFAULT_RECIPE,
    data: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    run: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train, choose thresholds, evaluate and report; return the run's folder.

    Args:
        recipe: A packaged recipe's name, a YAML file, or a recipe.
        data: Pictures or clips: class folders, a table, Pascal VOC, A2D, UCF-11, arrays or folders
            of frames. None takes the recipe's ``data.path``.
        settings: ``KEY=VALUE`` strings over the recipe, as the command line's ``--set``.
        run: The run's folder; None makes ``runs/<time>-<recipe>``.
        progress: Who watches; None: nobody.

    Raises:
        FinelensError: If the recipe, the data, the model or the run folder cannot be used; an
            error found before training leaves no folder behind.
        Interrupted: If Ctrl-C or SIGTERM ended it; ``resume`` goes on.
    """
    progress = progress or Silent()
    recipe = str(recipe) if isinstance(recipe, Path) else recipe
    name = recipe if isinstance(recipe, str) else "recipe"
    resolved = _located(_with_settings(recipe, settings), data)
    # now, and not when all files are read and the weights downloaded
    check_augmentations(resolved)
    root = Path(run) if run is not None else _default_run(name)
    check_new_run(root)
    manifest, found = _read_manifest(resolved, progress)
    return _run(resolved, manifest, found, root, progress)


def resume(run: str | Path, *, progress: Progress | None = None) -> Path:
    """Go on with a run that was killed or interrupted, to the same weights; return its folder.

    A run that is complete is left as it is, but for its report, which is written again.

    Raises:
        FinelensError: If the folder is no run, or its checkpoint cannot be read.
    """
    directory = open_run(run, complete=False)
    progress = progress or Silent()
    if directory.is_complete:
        write_report(directory)
        progress.say(f"run {directory.root} is complete already")
        return directory.root
    recipe = parse_recipe(read_yaml(directory.recipe), origin=str(directory.recipe))
    if has_state(directory.checkpoints):
        # all weights are in it: neither their file nor the network is needed again
        bare = recipe.model.model_copy(update={"weights": None, "pretrained": False})
        recipe = recipe.model_copy(update={"model": bare})
    environment = _read_environment(directory)
    manifest = read_manifest(
        directory.manifest, task=environment["task"], classes=environment["classes"]
    )
    torch.set_num_threads(environment["num_threads"])
    setting = build_setting(
        recipe, manifest, directory, bad_files=environment["bad_files"], progress=progress
    )
    return _train(setting)


def demo(
    *, clips: bool = False, run: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Write the embedded pictures, train the ``demo`` recipe on them; return the run's folder.

    The pictures lie beside the run, in ``demo-data``; those of an earlier demo are used again.

    Args:
        clips: Clips that only motion tells apart in place of pictures: in ``demo-clips``, by the
            recipe of that name.
        run: The run's folder; None makes ``runs/<time>-<recipe>``.
        progress: Who watches; None: nobody.

    Raises:
        FinelensError: If the run's folder, or that of the data, holds something else.
    """
    recipe = "demo-clips" if clips else "demo"
    root = Path(run) if run is not None else _default_run(recipe)
    check_new_run(root)
    data = root.parent / ("demo-clips" if clips else "demo-data")
    if root.resolve() == data.resolve():
        raise ConfigError(f"--run {root}: the demo's data lies there; name another folder")
    supply = supply_clips if clips else supply_pictures
    supply(data, progress or Silent())
    return train(recipe, data, run=root, progress=progress)


def _run(
    recipe: Recipe,
    manifest: Manifest,
    found: _Found,
    root: Path,
    progress: Progress,
) -> Path:
    directory = RunDirectory(root)
    setting = build_setting(
        recipe, manifest, directory, bad_files=found.verification.problems, progress=progress
    )
    Fit(setting)
    for line in setting.described():
        progress.say(line)
    # all that a recipe can be wrong about has been found: from here on the folder exists
    if setting.accelerator.is_main_process:
        _begin(setting, found)
    setting.accelerator.wait_for_everyone()
    return _train(setting)


def _begin(setting: Setting, found: _Found) -> None:
    """Make the run's folder with what resuming needs; the recipe is last: it makes it a run."""
    run = create_run(setting.run.root)
    environment = describe_environment(
        setting.manifest,
        setting.bad_files,
        notes=found.verification.notes,
        group_note=found.group_note,
        device=setting.accelerator.device,
        precision=setting.precision,
    )
    write_json_atomic(run.environment, environment)
    write_table(run.manifest, setting.manifest.table)
    write_text_atomic(run.recipe, dump_recipe(setting.recipe))


def _train(setting: Setting) -> Path:
    root = setting.run.root
    with Interruption() as interruption:
        heedful = setting.watched_by(Heedful(setting.progress, interruption))
        try:
            finish(heedful, Fit(heedful).run())
        except Interrupted as stopped:
            raise Interrupted(
                f"{stopped}; all is saved, go on with `finelens train --resume {typed(root)}`"
            ) from None
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"the memory of {setting.accelerator.device} is full at train.batch_size "
                f"{setting.recipe.train.batch_size}; start a new run with a smaller one, and "
                "train.accumulate in its place"
            ) from error
    if setting.accelerator.is_main_process:
        write_report(setting.run)
    setting.accelerator.wait_for_everyone()
    setting.accelerator.end_training()
    return root


@dataclass(frozen=True)
class _Found:
    """What was found while reading the data: of its files, and of its groups."""

    verification: Verification
    group_note: str | None


def _read_manifest(recipe: Recipe, progress: Progress) -> tuple[Manifest, _Found]:
    """Return a recipe's pictures, all readable, all in a split; and what reading them told."""
    data = recipe.data
    if data.path is None:
        raise ConfigError("there is no data: give --data DATA, or data.path in the recipe")
    manifest = read_source(
        data.path,
        source=data.source,
        task=data.task,
        classes=data.classes,
        label_separator=data.label_separator,
        is_clips=recipe.input.frames is not None,
        progress=progress,
    )
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
    check_trainable(manifest, allow_empty_classes=data.empty_classes == "keep")
    absent = empty_classes(manifest)
    if absent:
        progress.say(
            f"{len(absent)} of {manifest.task.num_classes} classes have no training "
            f"{one_of(manifest.media)}, so nothing can be learned of them: {', '.join(absent[:5])}"
            f"{', ...' if len(absent) > 5 else ''}"
        )
    return manifest, _Found(verification, note)


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


def _with_settings(recipe: str | Recipe, settings: Sequence[str]) -> Recipe:
    if isinstance(recipe, str):
        return load_recipe(recipe, settings)
    content = recipe.model_dump(mode="json")
    for setting in settings:
        apply_setting(content, setting)
    return parse_recipe(content, origin="given")


def _located(recipe: Recipe, data: str | Path | None) -> Recipe:
    """Return a recipe of absolute paths: a run is resumed from any folder."""
    path, weights = data or recipe.data.path, recipe.model.weights
    sections = {
        "data": recipe.data.model_copy(update={"path": path and _absolute(path)}),
        "model": recipe.model.model_copy(update={"weights": weights and _absolute(weights)}),
    }
    return recipe.model_copy(update=sections)


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().resolve())


def _read_environment(directory: RunDirectory) -> dict[str, Any]:
    content = read_json(directory.environment)
    for key in ("task", "classes", "num_threads", "bad_files"):
        if not isinstance(content, dict) or key not in content:
            raise RunError(f'{directory.environment} holds no "{key}": it is damaged; put it back')
    return content


def _default_run(recipe_name: str) -> Path:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("several processes train one run: name its folder with --run")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{stamp}-{Path(recipe_name).stem}"
