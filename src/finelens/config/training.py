"""The sections of a recipe that say how training goes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from finelens.config.section import Fraction, Positive, Section

AugmentStep = dict[str, dict[str, Any]]
"""One step of an augmentation policy: its name, mapped to its settings."""


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
    auxiliary_weight: float = Field(
        default=0.0,
        ge=0.0,
        description="what the loss of each auxiliary net (Inception, GoogLeNet) counts beside the "
        "head's; 0: they are left out",
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
    weight_decay: float = Field(default=1e-4, ge=0.0, description="pulls weights towards 0")
    decay_vectors: bool = Field(
        default=False, description="whether biases and norms decay too, as in torch's own SGD"
    )


class TrainConfig(Section):
    """How the machine does it."""

    batch_size: int = Field(default=32, ge=1, description="pictures a forward pass")
    accumulate: int = Field(default=1, ge=1, description="forward passes a weight update")
    batches_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="forward passes an epoch, which begins where the one before ended; null: as "
        "many as see every training picture once",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="auto: bf16 where the processor computes in it, but fp32 on a CPU for "
        "networks with 3-D convolutions",
    )
    num_workers: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        default="auto", description="loader processes; never changes a result"
    )
    channels_last: bool = Field(default=True, description="memory format of pictures and kernels")
    compile: bool = Field(
        default=False,
        description="torch.compile where one CUDA device trains: faster updates for a minute a "
        "phase; numbers differ by rounding, and dropout draws others",
    )
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
    views: int | None = Field(
        default=None,
        ge=1,
        description="augmented views of each picture, which come again after as many passes; with "
        "`freeze: backbone` their features are computed once; null: every pass has its own",
    )
    freeze: str = Field(
        default="none",
        description="`none`, `backbone`, `convolutions` (with their batch norms), or "
        "`until:LAYER` (that layer and all before it)",
    )
    freeze_statistics: bool = Field(
        default=False, description="keep every batch norm's running mean and variance as they are"
    )
    lr: Positive | None = Field(default=None, description="null: optimizer.lr")
    backbone_lr: Positive | None = Field(
        default=None, description="null: the phase's lr where it has one, else the optimizer's"
    )
    schedule: ScheduleConfig = ScheduleConfig()
    average_every: int | None = Field(
        default=None,
        ge=1,
        description="stochastic weight averaging: weights enter the phase's average every so many "
        "epochs, and these epochs are judged by it; null: none",
    )
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
        if not re.fullmatch("none|backbone|convolutions|until:.+", self.freeze):
            raise ValueError(
                f'freeze: "{self.freeze}" must be none, backbone, convolutions or until:LAYER'
            )
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be shorter than the phase")
        if self.average_every is not None and self.average_every > self.epochs:
            raise ValueError(
                f"average_every: {self.average_every} must not exceed the phase's epochs, "
                f"{self.epochs}; set average_every to {self.epochs} or less, or null"
            )
        return self


class StopConfig(Section):
    """When training ends before its last epoch."""

    metric: str | None = Field(default=None, description="a val metric; null: best_by's first")
    patience: int | None = Field(default=None, ge=1, description="epochs without a better value")
    target: float | None = Field(default=None, description="a value that is enough")
