"""The section: what every part of a recipe is, and the kinds of numbers in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Channel = Annotated[float, Field(ge=0.0, le=1.0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A part of a recipe: immutable, closed to unknown keys, its numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
        takes_numbers = kinds & {int, float} and not kinds & {bool, str}
        return _as_text(value) if takes_numbers else value


def _kinds(annotation: Any) -> Iterator[type]:
    """Yield the plain types in an annotation, such as those of a union or in a list."""
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _as_text(value: Any) -> Any:
    """Return true and false as YAML writes them: pydantic takes the values for 1 and 0."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value
