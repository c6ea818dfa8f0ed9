"""Settings: ``KEY=VALUE`` strings that change a recipe before it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finelens.config.notation import parse_yaml
from finelens.config.problems import keys_at
from finelens.config.schema import Recipe
from finelens.errors import ConfigError


def apply_settings(content: dict[str, Any], settings: Sequence[str]) -> None:
    """Change a recipe's mapping as settings say, in order; sections that are not there are made.

    Args:
        content: The recipe's mapping, before it is checked.
        settings: ``key.sub.0.key=VALUE`` strings; the value is YAML. An index of a list, or of a
            default list, must exist. Of the same key the last counts.

    Raises:
        ConfigError: If there is no ``=``, the value is not YAML, the key leads nowhere, or a
            setting would undo another's part before it.
    """
    parsed = [_parsed(setting) for setting in settings]
    for number, (parts, value) in enumerate(parsed):
        for earlier, (others, _) in zip(settings, parsed[:number], strict=False):
            if len(others) > len(parts) and others[: len(parts)] == parts:
                raise ConfigError(
                    f'--set "{settings[number]}" undoes --set "{earlier}" before it: leave one out'
                )
        _apply(content, parts, value)


def _parsed(setting: str) -> tuple[list[str], Any]:
    """Return the parts of a setting's key, and its value."""
    key, mark, text = setting.partition("=")
    parts = key.strip().split(".")
    if not mark or not all(parts):
        raise ConfigError(f'--set "{setting}" must read KEY=VALUE, such as optimizer.lr=0.01')
    return parts, parse_yaml(text, origin=f'--set "{setting}"')


def _apply(content: dict[str, Any], parts: list[str], value: Any) -> None:
    place: Any = content
    for depth, part in enumerate(parts[:-1], start=1):
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = _default(parts[:depth])
        place = place[_position(place, part, ".".join(parts[:depth]))]
    place[_position(place, parts[-1], ".".join(parts))] = value


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
        is_key = bool(place) and part in keys_at(key.split(".")[:-1])
        named = f"{key.removesuffix(part)}0.{part}"
        hint = f', so name one, as in "{named}"' if is_key else ""
        raise ConfigError(
            f"--set {key}: the list has no entry {part}; its entries are {entries}{hint}"
        )
    return int(part)
