"""The recipe: frozen models of every key a user can set.

Descriptions carry units and ranges; contradictions fail while loading. A recipe holds no
state and imports nothing heavy, so that ``finelens recipes`` stays light.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finelens.task import TaskKind

Channel = Annotated[float, Field(ge=0.0, le=1.0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
AugmentStep = dict[str, dict[str, Any]]
"""One step of an augmentation policy: its name, mapped to its settings."""


class Section(BaseModel):
    """A part of a recipe: immutable, closed to unknown keys, its numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """Where the pictures are and how they are divided."""

    source: Literal["auto", "folder", "table", "voc"] = Field(
        default="auto", description="on-disk format; auto looks at the path"
    )
    path: str | None = Field(default=None, description="the data; `--data` sets it")
    task: Literal["auto", "multi-class", "multi-label"] = Field(
        default="auto", description="auto: multi-label when any picture has no or several labels"
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        description="class names in order; null: all found, sorted (VOC: its own order)",
    )
    label_separator: str = Field(
        default="auto", description="mark between labels in a table's cell; auto: `|`, `;` or `,`"
    )
    bad_files: Literal["error", "skip"] = Field(
        default="error", description="what an unreadable picture does: end the job, or be left out"
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
        default=None, ge=1, description="pictures a clip; null: single pictures"
    )


class HeadConfig(Section):
    """The layers behind the backbone's features."""

    kind: Literal["linear", "mlp"] = "linear"
    hidden: int = Field(default=256, ge=1, description="units of the mlp's hidden layer")
    activation: Literal["relu", "mish"] = Field(default="relu", description="of the mlp")
    dropout: Fraction = Field(default=0.0, description="before the last linear layer")


class ModelConfig(Section):
    """The network."""

    backbone: str = Field(default="resnet18", description="a timm name, or `torchvision:NAME`")
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
    pooling: Literal["mean"] = Field(
        default="mean", description="of the features of a clip's frames"
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


class LossConfig(Section):
    """What training minimises."""

    name: Literal["auto", "bce", "cross_entropy", "focal", "asymmetric"] = Field(
        default="auto", description="auto: bce for multi-label, cross_entropy for one of many"
    )
    class_weights: Literal["none", "balanced"] | tuple[Positive, ...] = Field(
        default="none",
        description="weights of the positives, in class order; balanced: from their counts",
    )
    label_smoothing: Fraction = 0.0
    focal_gamma: float = Field(default=2.0, ge=0.0, description="focusing exponent")
    asymmetric_gamma_positive: float = Field(default=0.0, ge=0.0)
    asymmetric_gamma_negative: float = Field(default=4.0, ge=0.0)
    asymmetric_clip: Fraction = Field(
        default=0.05, description="probability shift of easy negatives"
    )


class OptimizerConfig(Section):
    """How weights move."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive = Field(
        default=0.02, description="rate of the head, and of the backbone unless..."
    )
    backbone_lr: Positive | None = Field(default=None, description="...this is set")
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0, description="each backbone stage's rate over that of the stage above it"
    )
    momentum: Fraction = Field(default=0.9, description="of sgd")
    nesterov: bool = Field(default=False, description="of sgd")
    betas: tuple[Fraction, Fraction] = Field(default=(0.9, 0.999), description="of adam and adamw")
    weight_decay: float = Field(default=1e-4, ge=0.0, description="not applied to biases and norms")


class TrainConfig(Section):
    """How the machine does it."""

    batch_size: int = Field(default=32, ge=1, description="pictures a forward pass")
    accumulate: int = Field(default=1, ge=1, description="forward passes a weight update")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the processor computes in it"
    )
    num_workers: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        default="auto", description="loader processes; never changes a result"
    )
    channels_last: bool = Field(default=True, description="memory format of pictures and kernels")
    clip_norm: Positive | None = Field(default=None, description="largest gradient norm")
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None,
        description="weights are averaged over updates with this decay; the average is kept",
    )
    best_by: tuple[str, ...] | None = Field(
        default=None,
        description="val metrics whose best weights are kept; the first becomes the model",
    )
    reseed_each_epoch: bool = Field(
        default=False,
        description="reseed python, numpy and torch with seed + epoch instead of each step",
    )
    checkpoint_minutes: Annotated[float, Field(gt=0.0, le=5.0)] = Field(
        default=4.0, description="longest time between two checkpoints"
    )
    tensorboard: bool = Field(default=False, description="also write TensorBoard event files")


class ScheduleConfig(Section):
    """The learning rate over a phase, as a factor of its start."""

    name: Literal["constant", "step", "multistep", "cosine", "polynomial"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0.0, description="linear from 0, before the rest")
    step_epochs: int = Field(default=10, ge=1, description="of step")
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="of multistep, in epochs of the phase"
    )
    gamma: Positive = Field(default=0.1, description="of step and multistep")
    final_factor: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0, description="of cosine and polynomial: the factor at the end"
    )
    power: Positive = Field(default=1.0, description="of polynomial")
    period_epochs: Positive | None = Field(
        default=None, description="of cosine (T_max); null: the phase"
    )

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} must rise")
        if self.name == "multistep" and not self.milestones:
            raise ValueError("multistep needs milestones, such as [10, 20]")
        return self


class PhaseConfig(Section):
    """A stretch of training under one setting."""

    name: str | None = Field(default=None, description="shown in logs and plots; null: phase N")
    epochs: int = Field(ge=1)
    augment: str | tuple[AugmentStep, ...] = Field(
        default="standard",
        description="a policy's name, or a list of steps such as `{flip: {p: 0.5}}`",
    )
    freeze: str = Field(
        default="none",
        description="`none`, `backbone`, or `until:LAYER` (that layer and all before it)",
    )
    freeze_statistics: bool = Field(
        default=False, description="keep every batch norm's running mean and variance as they are"
    )
    lr: Positive | None = Field(default=None, description="null: optimizer.lr")
    backbone_lr: Positive | None = Field(default=None, description="null: optimizer.backbone_lr")
    schedule: ScheduleConfig = ScheduleConfig()
    size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="side while training, pixels; null: scale of input.size",
    )
    scale: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0,
        description="side while training over input.size, to the nearest 32 pixels; 1 for a "
        "backbone that takes one size only",
    )

    @model_validator(mode="after")
    def _freeze_is_known(self) -> Self:
        if not re.fullmatch("none|backbone|until:.+", self.freeze):
            raise ValueError(f'freeze: "{self.freeze}" must be none, backbone or until:LAYER')
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be shorter than the phase")
        return self


class StopConfig(Section):
    """When training ends before its last epoch."""

    metric: str | None = Field(default=None, description="a val metric; null: best_by's first")
    patience: int | None = Field(default=None, ge=1, description="epochs without a better value")
    target: float | None = Field(default=None, description="a value that is enough")


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
        if not self.phases:
            raise ValueError("phases must hold at least one, such as [{epochs: 10}]")
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
