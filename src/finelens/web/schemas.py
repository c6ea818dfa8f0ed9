"""The schemas: what the REST API answers with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finelens.web.problems import Problem

Probability = float
ITEM_ID = r"^[0-9a-f]{32}$"
"""What an item's opaque id looks like."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Row(_Answer):
    """What became of one input."""

    index: int = Field(ge=0, description="Place of the input in the request, from 0.")
    name: str = Field(description="What the client calls it, without folders; it may be empty.")
    labels: list[str] | None = Field(description="The classes decided on; null where refused.")
    probabilities: dict[str, Probability] | None = Field(
        description="Calibrated, in [0, 1], of every class in order; null where refused."
    )
    note: str | None = Field(
        description="What to know of a clip that was predicted all the same, such as that its file "
        "is cut off; else null."
    )
    error: Problem | None = Field(description="Why it was refused; null where it was not.")


class Predictions(_Answer):
    """One row for every input, in their order."""

    run: str = Field(description="The run whose model answered.")
    rows: list[Row]


class ClassInfo(_Answer):
    """A class that a model knows."""

    name: str
    threshold: Probability | None = Field(
        description="The probability from which on it is said to be present; null where exactly "
        "one class is chosen."
    )


class ModelInfo(_Answer):
    """A model, with its figures."""

    run: str
    runs: list[str] = Field(description="All runs that are served; the first is the default.")
    task: str = Field(description="multi-class or multi-label.")
    medium: str = Field(description="pictures or clips.")
    backbone: str
    num_parameters: int
    classes: list[ClassInfo]
    temperature: float = Field(gt=0, description="What logits are divided by.")
    decision: dict[str, Any] = Field(description="The content of decision.json.")
    preprocessing: dict[str, Any] = Field(description="The content of preprocessing.json.")
    figures: dict[str, dict[str, Any]] = Field(
        description="By evaluated split: the headline figures of its metrics.json; null is "
        "undefined."
    )


class Item(_Answer):
    """A ranked picture or clip of the run's own data."""

    rank: int = Field(ge=1)
    item: str = Field(pattern=ITEM_ID, description="Its opaque id, for /v1/items/; not kept long.")
    name: str = Field(
        description="Its id in the data, as `finelens top` prints it; of ids that are absolute "
        "paths what lies below the folder they share."
    )
    probability: Probability
    is_positive: bool | None = Field(description="Whether its label agrees; null is unknown.")
    is_decided: bool = Field(description="Whether the model says that the class is present.")


class TopItems(_Answer):
    """The items of the highest probability of a class, the highest first."""

    run: str
    split: str
    class_name: str
    items: list[Item]


class Health(_Answer):
    """That the server lives."""

    status: str
