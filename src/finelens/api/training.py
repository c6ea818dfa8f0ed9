"""The verbs that make a run: train, resume and demo."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from finelens.api.environment import describe_environment
from finelens.api.recipe_choice import choose_recipe
from finelens.api.training_data import Found, complete_manifest, read_recipe_data
from finelens.config.load import dump_recipe, load_recipe, parse_recipe, read_run_recipe
from finelens.config.schema import Recipe
from finelens.config.settings import apply_settings
from finelens.data.demo.supply import supply_clips, supply_pictures
from finelens.data.extent import sample_sizes
from finelens.data.manifest import Manifest, read_manifest
from finelens.data.seen_share import unseen_note
from finelens.errors import ConfigError, RunError, typed
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
from finelens.training.resume import forget_previous, has_state
from finelens.training.setting import Setting, build_setting


def train(
    recipe: str | Path | Recipe | None = None,
    data: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    run: str | Path | None = None,
    profile: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train, choose thresholds, evaluate and report; return the run's folder.

    Args:
        recipe: A packaged recipe's name, a YAML file, or a recipe. None takes ``finetune``, or
            ``finetune-clips`` where the data are clips.
        data: Pictures or clips: class folders, a table, Pascal VOC, A2D, UCF-11, arrays or folders
            of frames. None takes the recipe's ``data.path``.
        settings: ``KEY=VALUE`` strings over the recipe, as the command line's ``--set``.
        run: The run's folder; None makes ``runs/<time>-<recipe>``.
        profile: Whether it says at the end where the time of training went.
        progress: Who watches; None: nobody.

    Raises:
        FinelensError: If the recipe, the data, the model or the run folder cannot be used; an
            error found before training leaves no folder behind.
        Interrupted: If Ctrl-C or SIGTERM ended it, after it saved its state, or Ctrl-C twice, at
            once; ``resume`` goes on.
    """
    progress = progress or Silent()
    recipe = str(recipe) if isinstance(recipe, Path) else recipe
    manifest = None
    if run is not None:
        check_new_run(Path(run))
    if recipe is None:
        recipe, manifest = choose_recipe(data, settings, progress)
    name = recipe if isinstance(recipe, str) else "recipe"
    resolved = _located(_with_settings(recipe, settings), data)
    # now, and not when all files are read and the weights downloaded
    check_augmentations(resolved)
    root = Path(run) if run is not None else _default_run(name)
    check_new_run(root)
    manifest = manifest or read_recipe_data(resolved, progress)
    manifest, found = complete_manifest(manifest, resolved, progress)
    return _run(resolved, manifest, found, root, progress, profile=profile)


def resume(run: str | Path, *, profile: bool = False, progress: Progress | None = None) -> Path:
    """Go on with a run that was killed or interrupted, to the same weights; return its folder.

    A run that is complete is left as it is; a report that is missing is written.

    Args:
        run: The run's folder.
        profile: Whether it says at the end where the time of training went, from here on.
        progress: Who watches; None: nobody.

    Raises:
        FinelensError: If the folder is no run, or its checkpoint cannot be read.
    """
    directory = open_run(run, complete=False)
    progress = progress or Silent()
    if directory.is_complete:
        progress.say(f"run {directory.root} is complete already")
        if not directory.report.is_file():
            write_report(directory)
        return directory.root
    recipe = read_run_recipe(directory.recipe)
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
    return _train(setting, profile=profile)


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
    found: Found,
    root: Path,
    progress: Progress,
    *,
    profile: bool,
) -> Path:
    directory = RunDirectory(root)
    setting = build_setting(
        recipe, manifest, directory, bad_files=found.verification.problems, progress=progress
    )
    Fit(setting)
    for line in setting.described():
        progress.say(line)
    unseen = _unseen_note(setting, found)
    if unseen is not None:
        progress.say(unseen)
    # all that a recipe can be wrong about has been found: from here on the folder exists
    if setting.accelerator.is_main_process:
        _begin(setting, found)
    setting.accelerator.wait_for_everyone()
    return _train(setting, profile=profile)


def _unseen_note(setting: Setting, found: Found) -> str | None:
    manifest = setting.manifest
    if manifest.media == "pictures":
        sizes = sample_sizes(manifest.of_split("train").paths)
    else:
        sizes = [(one.height, one.width) for one in found.verification.facts.values()]
    return unseen_note(setting.preprocessing, sizes, media=manifest.media)


def _begin(setting: Setting, found: Found) -> None:
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


def _train(setting: Setting, *, profile: bool = False) -> Path:
    root = setting.run.root
    with Interruption() as interruption:
        heedful = setting.watched_by(Heedful(setting.progress, interruption))
        try:
            finish(heedful, Fit(heedful, profile=profile).run())
            # soon done: a wish to stop that comes now is not heeded
            if setting.accelerator.is_main_process:
                write_report(setting.run)
                forget_previous(setting.run.checkpoints)
            setting.accelerator.wait_for_everyone()
            setting.accelerator.end_training()
        except Interrupted as stopped:
            raise Interrupted(
                f"{stopped}; all is saved, go on with `finelens train --resume {typed(root)}`"
            ) from None
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped at once; go on from what was saved last with "
                f"`finelens train --resume {typed(root)}`"
            ) from None
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"the memory of {setting.accelerator.device} is full at train.batch_size "
                f"{setting.recipe.train.batch_size}; start a new run with a smaller one, and "
                "train.accumulate in its place"
            ) from error
    return root


def _with_settings(recipe: str | Recipe, settings: Sequence[str]) -> Recipe:
    if isinstance(recipe, str):
        return load_recipe(recipe, settings)
    content = recipe.model_dump(mode="json")
    apply_settings(content, settings)
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
