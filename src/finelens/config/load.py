"""Reading a recipe: a YAML file or a packaged name, with ``KEY=VALUE`` settings on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finelens.config.notation import parse_yaml, to_yaml
from finelens.config.packaged import read_text, recipe_text
from finelens.config.problems import tell_problems
from finelens.config.schema import Recipe
from finelens.config.settings import apply_settings
from finelens.errors import ConfigError


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a packaged name or a YAML file, with settings applied.

    Args:
        name: A packaged recipe's name or the path of a ``.yaml`` file.
        settings: ``key.sub.0.key=VALUE`` strings, applied in order; see ``apply_settings``.

    Raises:
        ConfigError: If the YAML is broken, a key is unknown (the nearest is named), a value
            does not fit, or two keys contradict each other.
    """
    content = _read_mapping(recipe_text(name), name)
    apply_settings(content, settings)
    return parse_recipe(content, origin=name)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: If it cannot be read, or is no mapping.
    """
    return _read_mapping(read_text(path), str(path))


def read_run_recipe(path: Path) -> Recipe:
    """Return the recipe that a run wrote down, with every default of its day.

    Without ``input.reducing_gap`` it is older than that, of a run that sees every picture decoded
    at full size: there it is None.

    Raises:
        ConfigError: As ``read_yaml`` and ``parse_recipe``.
    """
    content = read_yaml(path)
    seen = content.get("input")
    if isinstance(seen, dict):
        seen.setdefault("reducing_gap", None)
    return parse_recipe(content, origin=str(path))


def parse_recipe(content: dict[str, Any], *, origin: str) -> Recipe:
    """Return the recipe of a mapping, as ``dump_recipe`` or YAML gives it.

    Raises:
        ConfigError: As ``load_recipe``; ``origin`` names the recipe in it.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise ConfigError(tell_problems(error, origin=origin)) from error


def dump_recipe(recipe: Recipe) -> str:
    """Return a recipe as YAML with every default written out."""
    return to_yaml(recipe.model_dump(mode="json"))


def _read_mapping(text: str, name: str) -> dict[str, Any]:
    content = parse_yaml(text, origin=f"recipe {name}")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"recipe {name}: must be a mapping of keys, not {type(content).__name__}")
    return {str(key): value for key, value in content.items()}
