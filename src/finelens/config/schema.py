"""The recipe: frozen models of every key a user can set.

Descriptions carry units and ranges; contradictions fail while loading. A recipe holds no
state and imports nothing heavy, so that ``finelens recipes`` stays light.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from finelens.config.section import Channel, Fraction, Positive, Section
from finelens.config.training import (
    LossConfig,
    OptimizerConfig,
    PhaseConfig,
    StopConfig,
    TrainConfig,
)
from finelens.task import TaskKind


class DataConfig(Section):
    """Where the pictures are and how they are divided."""

    source: Literal["auto", "a2d", "arrays", "folder", "frames", "table", "ucf11", "voc"] = Field(
        default="auto", description="on-disk format; auto looks at the path"
    )
    path: str | None = Field(default=None, description="the data; `--data` sets it")
    task: Literal["auto", "multi-class", "multi-label"] = Field(
        default="auto", description="auto: multi-label when any picture has no or several labels"
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        description="class names in order; null: all found, sorted (VOC, A2D: their own order)",
    )
    label_separator: str = Field(
        default="auto", description="mark between labels in a table's cell; auto: `|`, `;` or `,`"
    )
    bad_files: Literal["error", "skip"] = Field(
        default="error", description="what an unreadable picture does: end the job, or be left out"
    )
    cache: Literal["auto"] | bool = Field(
        default="auto",
        description="keep decoded frames on disk for the next epochs; auto: of clips alone; "
        "nothing is kept of clips that lie in an uncompressed array as they are needed; false: "
        "nor the features of a frozen backbone",
    )
    cache_gb: Positive = Field(default=20.0, description="bound of that cache, gigabytes")
    empty_classes: Literal["error", "keep"] = Field(
        default="error",
        description="what a class without training pictures does: end the job, "
        "or stay a class of which nothing is learned",
    )
    val_fraction: Fraction = Field(
        default=0.15, description="share cut from train if no val is given"
    )
    test_fraction: Fraction = Field(
        default=0.15, description="share cut from train if no test is given"
    )

    @model_validator(mode="after")
    def _leaves_training_pictures(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must leave some pictures to train on")
        return self


class InputConfig(Section):
    """What the model sees; null takes the backbone's own value."""

    size: Annotated[int, Field(ge=16, le=2048)] | Literal["auto"] | None = Field(
        default=None,
        description="side of the square input, pixels; auto: the pictures' median shorter side, "
        "to the nearest 32 pixels, at most the backbone's own",
    )
    mean: tuple[Channel, Channel, Channel] | None = Field(
        default=None, description="per channel, of [0, 1]"
    )
    std: tuple[Positive, Positive, Positive] | None = Field(default=None, description="per channel")
    resize: Literal["shorter", "squash", "pad"] | None = Field(
        default=None,
        description="shorter side then centre crop; both sides; longer side then padding",
    )
    crop_fraction: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        default=None, description="crop side over resized shorter side"
    )
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = Field(
        default=None, description="of every resize"
    )
    frames: int | None = Field(
        default=None,
        ge=1,
        description="frames taken of a clip; of a shorter one the last is repeated; null: pictures",
    )
    stride: int | None = Field(
        default=None,
        ge=1,
        description="every so many frames of a clip; null: evenly spread over it",
    )
    start: int = Field(
        default=0, ge=0, description="frames of a clip that are left out at its beginning"
    )
    reducing_gap: Annotated[float, Field(ge=1.0)] | None = Field(
        default=2.0,
        description="how many times the side that a view needs a big JPEG is decoded with, at "
        "least: at 1/2, 1/4 or 1/8 of its size where that is enough; null: always whole",
    )

    @property
    def given(self) -> dict[str, Any]:
        """Return what is not left to the backbone, by the names that ``Preprocessing`` has."""
        return self.model_dump(exclude_none=True) | {"reducing_gap": self.reducing_gap}


class HeadConfig(Section):
    """The layers behind the backbone's features."""

    kind: Literal["linear", "mlp"] = "linear"
    hidden: int = Field(default=256, ge=1, description="units of the mlp's hidden layer")
    activation: Literal["relu", "mish"] = Field(default="relu", description="of the mlp")
    dropout: Fraction = Field(default=0.0, description="before the last linear layer")


class ModelConfig(Section):
    """The network."""

    backbone: str = Field(
        default="resnet18", description="a timm name, `torchvision:NAME`, or `clip:NAME`"
    )
    pretrained: bool = Field(
        default=True, description="download ImageNet weights; not where weights is set"
    )
    weights: str | None = Field(
        default=None, description="a .safetensors or weights-only .pth file"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="passed to the backbone's constructor"
    )
    head: HeadConfig = HeadConfig()
    pooling: Literal["mean", "max", "linear", "lstm", "attention"] = Field(
        default="mean",
        description="of the features of a clip's frames; clip networks pool time themselves",
    )
    pooling_hidden: int = Field(
        default=128, ge=1, description="units of lstm pooling and of attention's scores"
    )
    probe: bool = Field(
        default=False, description="start a linear head from a convex probe of the frozen features"
    )

    @model_validator(mode="after")
    def _probe_is_convex(self) -> Self:
        if self.probe and self.head.kind != "linear":
            raise ValueError(
                f"probe: true needs head.kind: linear (a probe is convex), not {self.head.kind}; "
                "set model.probe=false"
            )
        return self


class DecideConfig(Section):
    """How yes and no are chosen on the validation split."""

    goal: str = Field(default="f1", description="`f1`, or `precision>=X` with the most recall")
    scope: Literal["per_class", "global"] = "per_class"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        default=None, description="a number fixes it for all classes"
    )
    calibrate: bool = Field(
        default=True, description="choose a temperature on the validation split"
    )
    min_positives: int = Field(
        default=10, ge=0, description="classes with few positives lean on the global threshold"
    )

    @model_validator(mode="after")
    def _goal_is_known(self) -> Self:
        if self.goal != "f1":
            _ = self.min_precision
        return self

    @property
    def min_precision(self) -> float | None:
        """Return x of the goal ``precision>=x``, in (0, 1], or None for the goal F1."""
        if self.goal == "f1":
            return None
        found = re.fullmatch(r"precision\s*>=\s*(\d*\.?\d+)", self.goal)
        if not found or not 0 < float(found[1]) <= 1:
            raise ValueError(f'goal "{self.goal}" must be f1 or precision>=X with X in (0, 1]')
        return float(found[1])


class Recipe(Section):
    """Everything that decides a run."""

    description: str = Field(default="", description="what it is for; shown by `finelens recipes`")
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()
    phases: tuple[PhaseConfig, ...] = (PhaseConfig(epochs=10),)
    stop: StopConfig = StopConfig()
    decide: DecideConfig = DecideConfig()

    @model_validator(mode="after")
    def _has_a_phase(self) -> Self:
        if not self.phases and not self.model.probe:
            raise ValueError(
                "phases must hold at least one, such as [{epochs: 10}], or model.probe be true"
            )
        if self.train.ema_decay is not None and any(p.average_every for p in self.phases):
            raise ValueError(
                "train.ema_decay and a phase's average_every are two averages of the weights; "
                "keep one of them"
            )
        return self

    @property
    def num_epochs(self) -> int:
        """Return the epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def check_task(self, kind: TaskKind) -> None:
        """Raise where the loss and the task contradict each other.

        Raises:
            ValueError: With the mend.
        """
        wanted = {"bce": TaskKind.MULTI_LABEL, "asymmetric": TaskKind.MULTI_LABEL,
                  "cross_entropy": TaskKind.MULTI_CLASS}.get(self.loss.name, kind)  # fmt: skip
        if wanted is not kind:
            raise ValueError(
                f'loss.name: "{self.loss.name}" is for {wanted} data, and this is {kind}; '
                "set loss.name to auto, or data.task"
            )
