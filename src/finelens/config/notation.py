"""The notation of recipes: YAML, in which 1e-4 is a number and a key stands only once."""

from __future__ import annotations

import re
from typing import Any

import yaml

from finelens.errors import ConfigError

_EXPONENTIAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
"""Numbers that YAML 1.1 takes for text, such as 1e-4 and 1.5e3."""


def parse_yaml(text: str, *, origin: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ConfigError: If it is broken or gives a key twice; ``origin`` begins the message, the
            line is named.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{origin}: not valid YAML: {place}{error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        # a byte that is no text, or a date such as 2026-13-01
        reason = " ".join(str(error).split())
        raise ConfigError(f"{origin}: not valid YAML: {reason}") from error


def to_yaml(content: dict[str, Any]) -> str:
    """Return the YAML of plain values, which ``parse_yaml`` reads as the same values."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f'key "{key.value}" is there twice', problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    pass


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENTIAL, list("-+.0123456789"))
