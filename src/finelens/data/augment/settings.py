"""The settings of a step: kinds of values, and their check against a function's annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    create_model,
)
from torch import Tensor

from finelens.config.problems import misfit
from finelens.config.section import Section
from finelens.errors import ConfigError, did_you_mean

StepFunction = Callable[..., Tensor]
"""From a uint8 picture (C, H, W) of any size, a sample's generator and a preprocessing to another
picture; what can be set is keyword-only. A clip's frames (T, C, H, W) become other frames under the
same draws."""


def checked_settings(
    function: StepFunction,
    settings: Mapping[str, Any],
    *,
    place: str,
    build_inner: Callable[[Any], tuple[StepFunction, ...]],
) -> dict[str, Any]:
    """Return all settings of a step, checked against its function's annotations.

    Args:
        function: Its keyword-only parameters are what can be set.
        settings: What was set.
        place: Where the step stands; begins every message.
        build_inner: Makes the value of a parameter that is annotated ``InnerSteps``.

    Raises:
        ConfigError: If a setting is unknown, missing or does not fit.
    """
    name = function.__name__
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        parameter.name: (hints[parameter.name], _default(parameter))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for setting in settings:
        if setting not in fields:
            known = did_you_mean(str(setting), fields)
            raise ConfigError(f'{place}: {name} has no setting "{setting}"{known}')
    model = create_model(name, __base__=Section, **fields)
    try:
        values = model.model_validate(dict(settings), context=build_inner)
    except ValidationError as error:
        raise ConfigError(f"{place}: {_told(error, name)}") from error
    return {field: getattr(values, field) for field in fields}


def _default(parameter: inspect.Parameter) -> Any:
    return ... if parameter.default is inspect.Parameter.empty else parameter.default


def _told(error: ValidationError, name: str) -> str:
    problem = error.errors()[0]
    place = ".".join(map(str, (name, *problem["loc"])))
    if problem["type"] == "missing":
        return f"{place} is missing"
    if problem["type"] != "value_error":
        return misfit(place, [problem])
    reason = problem["msg"].removeprefix("Value error, ").lower()
    return f"{place}: {problem['input']!r} does not fit: {reason}"


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first must not exceed the second")
    return pair


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("it must be odd")
    return number


def _built(steps: Any, info: ValidationInfo) -> tuple[StepFunction, ...]:
    build_inner: Any = info.context
    return build_inner(steps)


def _a_weight_each(
    weights: tuple[float, ...] | None, info: ValidationInfo
) -> tuple[float, ...] | None:
    if weights is not None and len(weights) != len(info.data["steps"]):
        raise ValueError(f"there must be one for each of the {len(info.data['steps'])} steps")
    if weights is not None and sum(weights) == 0:
        raise ValueError("one must be above 0")
    return weights


Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Strength = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
Area = Annotated[float, Field(gt=0.0, le=1.0)]
AreaRange = Annotated[tuple[Area, Area], AfterValidator(_rising)]
Factor = Annotated[float, Field(gt=0.0, le=10.0)]
FactorRange = Annotated[tuple[Factor, Factor], AfterValidator(_rising)]
Count = Annotated[int, Field(ge=0, le=10_000)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_rising)]
Side = Annotated[int, Field(ge=1, le=4096)]
OddKernel = Annotated[int, Field(ge=3, le=63), AfterValidator(_odd)]
MedianKernel = Annotated[int, Field(ge=3, le=15), AfterValidator(_odd)]
Turn = Annotated[float, Field(ge=0.0, le=0.5)]
"""Of the circle of hues."""
Degrees = Annotated[float, Field(ge=0.0, le=180.0)]
HueUnits = Annotated[float, Field(ge=0.0, le=90.0)]
"""Of 2 degrees each, as 8-bit HSV counts them."""
ByteUnits = Annotated[float, Field(ge=0.0, le=255.0)]
Weight = Annotated[float, Field(ge=0.0)]
InnerSteps = Annotated[tuple[StepFunction, ...], PlainValidator(_built)]
InnerWeights = Annotated[tuple[Weight, ...] | None, AfterValidator(_a_weight_each)]
"""Of the parameter ``steps`` before it."""
