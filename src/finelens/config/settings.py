"""Settings: ``KEY=VALUE`` strings that change a recipe before it is checked."""

from __future__ import annotations

from typing import Any

from finelens.config.notation import parse_yaml
from finelens.config.schema import Recipe
from finelens.errors import ConfigError


def apply_setting(content: dict[str, Any], setting: str) -> None:
    """Change a recipe's mapping as a setting says; sections that are not there are made.

    Args:
        content: The recipe's mapping, before it is checked.
        setting: ``key.sub.0.key=VALUE``; the value is YAML. An index of a list, or of a
            default list, must exist.

    Raises:
        ConfigError: If there is no ``=``, the value is not YAML, or the key leads nowhere.
    """
    key, mark, text = setting.partition("=")
    parts = key.strip().split(".")
    if not mark or not all(parts):
        raise ConfigError(f'--set "{setting}" must read KEY=VALUE, such as optimizer.lr=0.01')
    value = parse_yaml(text, origin=f'--set "{setting}"')
    place: Any = content
    for depth, part in enumerate(parts[:-1], start=1):
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = _default(parts[:depth])
        place = place[_position(place, part, ".".join(parts[:depth]))]
    place[_position(place, parts[-1], key)] = value


def _default(parts: list[str]) -> Any:
    """Return a key's default where it is a list, whose entries can be set; else no keys."""
    value: Any = Recipe().model_dump(mode="json")
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else {}


def _position(place: Any, part: str, key: str) -> str | int:
    """Return the key or index under which a part of a dotted key lies."""
    if isinstance(place, dict):
        return part
    if not isinstance(place, list):
        raise ConfigError(f"--set {key}: what stands before .{part} holds no keys")
    if not part.isdecimal() or int(part) >= len(place):
        entries = ", ".join(str(index) for index in range(len(place))) or "none"
        raise ConfigError(f"--set {key}: the list has no entry {part}; its entries are {entries}")
    return int(part)
