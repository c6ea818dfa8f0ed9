"""The verb that lists a network's layers: summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finelens.config.load import load_recipe, read_run_recipe
from finelens.config.packaged import recipe_names
from finelens.config.schema import Recipe
from finelens.errors import ConfigError
from finelens.models.build import build_classifier, build_preprocessing
from finelens.models.classifier import Classifier
from finelens.models.folder import load_model
from finelens.models.summary import NetworkSummary, summarise_network
from finelens.runs.directory import open_run, read_json

DEFAULT_CLASSES = 10
_A2D_CLASSES = 43


def summary(
    recipe: str | Path | Recipe, *, settings: Sequence[str] = (), num_classes: int | None = None
) -> NetworkSummary:
    """Return the layers of a network with the shapes between them and their parameters.

    Neither data nor weights are needed: nothing is downloaded.

    Args:
        recipe: A packaged recipe's name, a YAML file, a recipe, a run's folder or a model folder.
        settings: ``KEY=VALUE`` strings over a recipe.
        num_classes: K; None takes those of the run or of ``data.classes``, else 43 of A2D's
            recipes and 10 of others.

    Raises:
        ConfigError: If the recipe is wrong, or settings or classes are given with a run.
        ModelError: If the network cannot be built, or the model folder is corrupted.
        RunError: If the folder is neither a run nor a model.
    """
    if isinstance(recipe, Recipe):
        return _of_recipe(recipe, num_classes)
    folder = Path(recipe)
    if str(recipe) in recipe_names() or not folder.is_dir():
        return _of_recipe(load_recipe(str(recipe), settings), num_classes)
    if settings or num_classes is not None:
        raise ConfigError(
            f"{folder} is a run, whose network is settled; give a recipe to look at another"
        )
    if (folder / "model.json").is_file():
        return _of_model(folder)
    run = open_run(folder, complete=False)
    if run.is_complete:
        return _of_model(run.model)
    known = read_run_recipe(run.recipe)
    return _of_recipe(known, len(read_json(run.environment)["classes"]))


def _of_recipe(recipe: Recipe, num_classes: int | None) -> NetworkSummary:
    size, frames = recipe.input.size, recipe.input.frames
    bare = recipe.model.model_copy(update={"weights": None, "pretrained": False})
    classifier = build_classifier(
        bare,
        num_classes or _num_classes(recipe),
        size=size if isinstance(size, int) else None,
        frames=frames,
    )
    if size == "auto":
        recipe = recipe.model_copy(update={"input": recipe.input.model_copy(update={"size": None})})
    seen = build_preprocessing(recipe.input, classifier.backbone.input_spec)
    return _summarise(classifier, seen.size, seen.frames)


def _of_model(folder: Path) -> NetworkSummary:
    saved = load_model(folder)
    return _summarise(saved.classifier, saved.preprocessing.size, saved.preprocessing.frames)


def _summarise(classifier: Classifier, size: int, frames: int | None) -> NetworkSummary:
    picture = (3, size, size)
    # shapes alone are asked for: on numbers, thirty frames would take seconds
    return summarise_network(
        classifier.to("meta"), (1, *picture) if frames is None else (1, frames, *picture)
    )


def _num_classes(recipe: Recipe) -> int:
    if recipe.data.classes is not None:
        return len(recipe.data.classes)
    return _A2D_CLASSES if recipe.data.source == "a2d" else DEFAULT_CLASSES
