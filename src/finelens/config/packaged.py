"""The packaged recipes: their names and texts, at hand without what checks a recipe."""

from __future__ import annotations

import json
import re
from pathlib import Path

from finelens.errors import ConfigError, did_you_mean

_PACKAGED = Path(__file__).with_name("recipes")
_DESCRIPTION = re.compile(r"^description: *(.*)$", re.MULTILINE)


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes, sorted."""
    return sorted(
        item.name.removesuffix(".yaml")
        for item in _PACKAGED.iterdir()
        if item.name.endswith(".yaml")
    )


def recipe_descriptions() -> dict[str, str]:
    """Return what each packaged recipe says of itself in one line, by name, sorted."""
    return {name: _description(_packaged_text(name)) for name in recipe_names()}


def _description(text: str) -> str:
    # without YAML, whose import alone takes as long as all else that lists recipes
    found = _DESCRIPTION.search(text)
    line = found.group(1) if found else ""
    return json.loads(line) if line.startswith('"') else line


def recipe_text(name: str) -> str:
    """Return a packaged recipe's YAML, or that of the file of this name.

    Raises:
        ConfigError: If neither is there.
    """
    if name in recipe_names():
        return _packaged_text(name)
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return read_text(path)
    raise ConfigError(
        f'recipe "{name}" is neither packaged nor a .yaml file{did_you_mean(name, recipe_names())}'
    )


def read_text(path: Path) -> str:
    """Return the text of a recipe's file.

    Raises:
        ConfigError: If it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"recipe {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"recipe {path}: cannot be read: it is no UTF-8 text") from error


def _packaged_text(name: str) -> str:
    return (_PACKAGED / f"{name}.yaml").read_text(encoding="utf-8")
