"""The recipe of a run for which nobody named one: chosen by what the data hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finelens.api.training_data import read_recipe_data
from finelens.config.load import load_recipe
from finelens.config.schema import Recipe
from finelens.data.manifest import Manifest
from finelens.errors import ConfigError
from finelens.progress import Progress

RECIPES = {"pictures": "finetune", "clips": "finetune-clips"}
"""The default recipe of each medium."""


def choose_recipe(
    data: str | Path | None, settings: Sequence[str], progress: Progress
) -> tuple[str, Manifest]:
    """Return the packaged recipe that suits the data, and the data as their source gives them.

    Says which it is. Settings are checked before the data are looked at.

    Args:
        data: Where the data lie; None takes what the settings say.
        settings: ``KEY=VALUE`` strings. With ``input.frames`` among them pictures in
            ``CLASS/CLIP/`` are the frames of clips.
        progress: Who watches.

    Raises:
        ConfigError: If the settings fit neither recipe, or there are no data.
        DataError: If the data cannot be read.
    """
    recipe = _read_by(settings)
    path = data or recipe.data.path
    # a run is resumed from any folder
    absolute = path and str(Path(path).expanduser().resolve())
    located = recipe.data.model_copy(update={"path": absolute})
    manifest = read_recipe_data(recipe.model_copy(update={"data": located}), progress)
    name = RECIPES[manifest.media]
    why = "the data are clips" if manifest.media == "clips" else "the default"
    progress.say(f"recipe: {name} ({why}; `finelens recipes` lists all)")
    return name, manifest


def _read_by(settings: Sequence[str]) -> Recipe:
    """Return a recipe with the settings, by which the data are read: its other keys do not matter.

    It asks for clips only where the settings do.
    """
    try:
        return load_recipe(RECIPES["pictures"], settings)
    except ConfigError as unfit:
        try:
            recipe = load_recipe(RECIPES["clips"], settings)
        except ConfigError:
            # both say nearly the same, and most data are pictures
            raise unfit from None
    if not any(setting.partition("=")[0].strip() == "input.frames" for setting in settings):
        unasked = recipe.input.model_copy(update={"frames": None})
        recipe = recipe.model_copy(update={"input": unasked})
    return recipe
