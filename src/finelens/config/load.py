"""Reading a recipe: a YAML file or a packaged name, with ``KEY=VALUE`` settings on top."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from finelens.config.schema import Recipe
from finelens.errors import ConfigError, did_you_mean

_PACKAGED = resources.files("finelens.config") / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes, sorted."""
    return sorted(
        item.name.removesuffix(".yaml")
        for item in _PACKAGED.iterdir()
        if item.name.endswith(".yaml")
    )


def recipe_text(name: str) -> str:
    """Return a packaged recipe's YAML, or that of the file of this name.

    Raises:
        ConfigError: If neither is there.
    """
    if name in recipe_names():
        return (_PACKAGED / f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return _read(path)
    raise ConfigError(
        f'recipe "{name}" is neither packaged nor a .yaml file{did_you_mean(name, recipe_names())}'
    )


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a packaged name or a YAML file, with settings applied.

    Args:
        name: A packaged recipe's name or the path of a ``.yaml`` file.
        settings: ``key.sub.0.key=VALUE`` strings; values are YAML. An index of a list must
            exist.

    Raises:
        ConfigError: If the YAML is broken, a key is unknown (the nearest is named), a value
            does not fit, or two keys contradict each other.
    """
    content = _parse_yaml(recipe_text(name), name)
    for setting in settings:
        _apply(content, setting)
    return parse_recipe(content, origin=name)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: If it cannot be read, or is no mapping.
    """
    return _parse_yaml(_read(path), str(path))


def parse_recipe(content: dict[str, Any], *, origin: str) -> Recipe:
    """Return the recipe of a mapping, as ``dump_recipe`` or YAML gives it.

    Raises:
        ConfigError: As ``load_recipe``; ``origin`` names the recipe in it.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(_told(problem, origin) for problem in _worst(error))) from error


def dump_recipe(recipe: Recipe) -> str:
    """Return a recipe as YAML with every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path}: cannot be read: {_one_line(error)}") from error


def _parse_yaml(text: str, name: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"recipe {name}: not valid YAML: {_one_line(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"recipe {name}: must be a mapping of keys, not {type(content).__name__}")
    return content


def _apply(content: dict[str, Any], setting: str) -> None:
    key, mark, text = setting.partition("=")
    if not mark or not key:
        raise ConfigError(f'--set "{setting}" must read KEY=VALUE, such as optimizer.lr=0.01')
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f'--set "{setting}": the value is not valid YAML') from error
    parts = key.strip().split(".")
    place: Any = content
    for depth, part in enumerate(parts[:-1], start=1):
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = {}
        place = place[_position(place, part, ".".join(parts[:depth]))]
    place[_position(place, parts[-1], key)] = _as_number(value)


def _position(place: Any, part: str, key: str) -> Any:
    """Return the key or index under which a part of a dotted key lies."""
    if isinstance(place, dict):
        return part
    if not isinstance(place, list):
        raise ConfigError(f"--set {key}: what stands before .{part} holds no keys")
    if not part.isdigit() or int(part) >= len(place):
        raise ConfigError(f"--set {key}: the list has the entries 0 to {len(place) - 1}")
    return int(part)


def _as_number(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (no dot) as text; people mean the number
    if isinstance(value, str):
        try:
            return float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def _worst(error: ValidationError) -> list[Any]:
    """Return the problems to tell: unknown keys first, one a key, at most two."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    return list({_key(problem): problem for problem in reversed(problems)}.values())[::-1][:2]


def _key(problem: Any) -> str:
    # pydantic appends the branch of a union, such as "literal['auto']", to the place
    return ".".join(str(part) for part in problem["loc"] if not re.search(r"[\[-]", str(part)))


def _told(problem: Any, origin: str) -> str:
    place = _key(problem)
    if problem["type"] == "extra_forbidden":
        parents, last = problem["loc"][:-1], str(problem["loc"][-1])
        return f"recipe {origin}: key {place} is unknown{did_you_mean(last, _keys_at(parents))}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"recipe {origin}: {place + ': ' if place else ''}{message}"
    if problem["type"] == "literal_error":
        choices = str(problem["ctx"]["expected"])
        return f'recipe {origin}: {place}: "{problem["input"]}" is unknown; it must be {choices}'
    return f"recipe {origin}: {place}: {problem['input']!r} does not fit: {message.lower()}"


def _keys_at(parents: Iterable[str | int]) -> list[str]:
    model: type[BaseModel] | None = Recipe
    for part in parents:
        if model is not None and isinstance(part, str):
            model = _section_in(model.model_fields[part].annotation)
    return list(model.model_fields) if model else []


def _section_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
