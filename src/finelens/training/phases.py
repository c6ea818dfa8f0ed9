"""The phase: a stretch of epochs under one augmentation, freeze, rate and picture size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finelens.config.schema import Recipe
from finelens.config.training import OptimizerConfig, PhaseConfig
from finelens.data.augment.augmentation import Augmentation
from finelens.data.preprocessing import Preprocessing
from finelens.training.schedule import build_schedule


@dataclass(frozen=True)
class Phase:
    """One phase, ready to run.

    Attributes:
        name: Shown in logs and plots.
        epochs: How many it lasts.
        first_epoch: Epochs of all phases before it.
        augmentation: From a decoded picture to what the network trains on.
        num_views: Different views of a picture that there are; None: as many as epochs.
        freeze: ``none``, ``backbone`` or ``until:LAYER``.
        freeze_statistics: Whether batch norms keep their running mean and variance.
        lr: Learning rate of the head at factor 1.
        backbone_lr: Learning rate of the backbone at factor 1.
        average_every: Epochs between two weights that enter the phase's average; None: it has
            none.
        rate_factor: From progress in epochs of the phase, in [0, epochs], to a factor.
    """

    name: str
    epochs: int
    first_epoch: int
    augmentation: Augmentation
    num_views: int | None
    freeze: str
    freeze_statistics: bool
    lr: float
    backbone_lr: float
    average_every: int | None
    rate_factor: Callable[[float], float]


def check_augmentations(recipe: Recipe) -> None:
    """Raise where a phase's augmentation cannot be built, whatever the network will see.

    Raises:
        ConfigError: If a policy, a step or a setting is unknown or does not fit.
    """
    gray = (0.5, 0.5, 0.5)
    for phase in recipe.phases:
        Augmentation(phase.augment, Preprocessing(32, gray, gray))


def build_phases(
    recipe: Recipe, preprocessing: Preprocessing, size_of: Callable[[float], int]
) -> list[Phase]:
    """Return a recipe's phases in order.

    Args:
        recipe: Gives them.
        preprocessing: What the network sees when scoring.
        size_of: From a wanted side to one that the backbone takes, pixels.

    Raises:
        ConfigError: If a policy, a step or a setting of an augmentation is unknown.
    """
    phases: list[Phase] = []
    for number, config in enumerate(recipe.phases, start=1):
        first_epoch = sum(phase.epochs for phase in phases)
        size = config.size or preprocessing.size
        if config.size is None and config.scale != 1:
            size = size_of(config.scale * preprocessing.size)
        view = preprocessing.resized(size)
        phases.append(_build_phase(config, number, first_epoch, recipe.optimizer, view))
    return phases


def _build_phase(
    config: PhaseConfig,
    number: int,
    first_epoch: int,
    optimizer: OptimizerConfig,
    preprocessing: Preprocessing,
) -> Phase:
    lr = config.lr or optimizer.lr
    # a phase that only says lr means it for the whole network, as the optimizer's lr does
    backbone_lr = config.backbone_lr or (config.lr if config.lr else optimizer.backbone_lr) or lr
    augmentation = Augmentation(config.augment, preprocessing)
    return Phase(
        name=config.name or f"phase {number}",
        epochs=config.epochs,
        first_epoch=first_epoch,
        augmentation=augmentation,
        num_views=config.views if augmentation.has_chance else 1,
        freeze=config.freeze,
        freeze_statistics=config.freeze_statistics,
        lr=lr,
        backbone_lr=backbone_lr,
        average_every=config.average_every,
        rate_factor=build_schedule(config.schedule, config.epochs),
    )
