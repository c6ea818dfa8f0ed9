"""What is wrong with a recipe, told in lines that name the key, the value and the mend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from finelens.config.schema import Recipe
from finelens.errors import did_you_mean

# pydantic puts the branch of a union, such as "literal['auto']", into a problem's place
_BRANCH = re.compile(r"str|bool|constrained-\w+|.*\[.*")


def tell_problems(error: ValidationError, *, origin: str, most: int = 2) -> str:
    """Return one line for each of the first problems of a recipe, unknown keys first.

    Args:
        error: What pydantic found.
        origin: The recipe's name or file, which begins each line.
        most: Lines.
    """
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    by_place: dict[str, list[Any]] = {}
    for problem in problems:
        by_place.setdefault(_place(problem), []).append(problem)
    # where an entry of a list is wrong, that it is no text either helps nobody
    innermost = [
        place for place in by_place if not any(other.startswith(f"{place}.") for other in by_place)
    ]
    return "\n".join(f"recipe {origin}: {_told(at, by_place[at])}" for at in innermost[:most])


def _place(problem: Any) -> str:
    """Return a problem's dotted key, without the branches of unions."""
    parts: list[str] = []
    section: type[BaseModel] | None = Recipe
    for part in problem["loc"]:
        if section is None and _BRANCH.fullmatch(str(part)):
            continue
        parts.append(str(part))
        if isinstance(part, str):
            field = section.model_fields.get(part) if section else None
            section = _section_in(field.annotation) if field else None
    return ".".join(parts)


def _told(place: str, problems: list[Any]) -> str:
    kinds, first = {problem["type"] for problem in problems}, problems[0]
    if "extra_forbidden" in kinds:
        return f"key {place} is unknown{_nearest_keys(place)}"
    if "missing" in kinds:
        return f"{place} is missing"
    if "value_error" in kinds:
        message = first["msg"].removeprefix("Value error, ")
        return f"{place}: {message}" if place else message
    if kinds == {"literal_error"}:
        choices = first["ctx"]["expected"]
        return f'{place}: "{_shown(first["input"])}" is unknown; it must be {choices}'
    return misfit(place, problems)


def misfit(place: str, problems: list[Any]) -> str:
    """Return what a value would have to be.

    Args:
        place: Its dotted key.
        problems: What pydantic found of it; of a union, in each branch.
    """
    wanted = ", or ".join(dict.fromkeys(_wanted(problem, place) for problem in problems))
    return f"{place}: {_shown(problems[0]['input'])} does not fit: it must be {wanted}"


def _wanted(problem: Any, place: str) -> str:
    kind = problem["type"]
    if kind in {"model_type", "model_attributes_type"}:
        return f"keys with values, such as {place}.{keys_at(place.split('.'))[0]}"
    if kind in _WANTED:
        return _WANTED[kind]
    return problem["msg"].removeprefix("Input should be ")


def _nearest_keys(place: str) -> str:
    """Return a clause naming where a key belongs, or its nearest neighbours."""
    *parents, last = place.split(".")
    elsewhere = [key for key in _keys_below(Recipe) if key.split(".")[-1] == last]
    if elsewhere:
        return "; did you mean " + " or ".join(f'"{key}"' for key in elsewhere[:3]) + "?"
    return did_you_mean(last, keys_at(parents))


def keys_at(parents: Iterable[str]) -> list[str]:
    """Return the keys of the section at a dotted key, given in parts; none where there is none."""
    section: type[BaseModel] | None = Recipe
    for part in parents:
        if section is not None and not part.isdecimal():
            field = section.model_fields.get(part)
            section = _section_in(field.annotation) if field else None
    return list(section.model_fields) if section else []


def _keys_below(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a section; that of a list's entries has the index 0."""
    for name, field in section.model_fields.items():
        yield prefix + name
        inner = _section_in(field.annotation)
        if inner is not None:
            index = "0." if get_origin(field.annotation) is tuple else ""
            yield from _keys_below(inner, f"{prefix}{name}.{index}")


def _section_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _shown(value: Any) -> str:
    """Return a value as YAML writes it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys with values, such as {p: 0.5}",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "string_type": "text (put it in quotes)",
    "tuple_type": "a list, such as [a, b]",
}
