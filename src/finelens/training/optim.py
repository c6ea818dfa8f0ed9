"""The optimizer: which parameters move at which rate, and which of them decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from finelens.config.training import OptimizerConfig
from finelens.errors import ConfigError, ModelError
from finelens.models.classifier import Classifier
from finelens.models.stages import stages

ParameterGroup = dict[str, Any]


def parameter_groups(
    classifier: Classifier,
    *,
    lr: float,
    backbone_lr: float | None = None,
    layer_decay: float = 1.0,
    weight_decay: float = 0.0,
    decay_vectors: bool = False,
) -> list[ParameterGroup]:
    """Return the trainable parameters, grouped by rate and weight decay.

    The head, a temporal pooling and auxiliary nets move at ``lr`` and the backbone's last stage
    at ``backbone_lr`` (None: ``lr``); every stage below it moves at ``layer_decay`` of the stage
    above, and what no stage holds (a class token, position embeddings) with the first. Vectors
    (biases, norms) get no weight decay unless ``decay_vectors``. A group holds ``name`` (``head``
    or the stage's), ``params``, ``lr``, ``initial_lr`` and ``weight_decay``; frozen parameters
    and empty groups are left out.

    Raises:
        ModelError: If every parameter is frozen.
    """
    groups: dict[tuple[str, bool], ParameterGroup] = {}
    for name, rate, parameter in _rated(classifier, lr, backbone_lr or lr, layer_decay):
        if not parameter.requires_grad:
            continue
        is_vector = parameter.ndim <= 1
        group = groups.setdefault(
            (name, is_vector),
            {
                "name": name,
                "params": [],
                "lr": rate,
                "initial_lr": rate,
                "weight_decay": 0.0 if is_vector and not decay_vectors else weight_decay,
            },
        )
        group["params"].append(parameter)
    if not groups:
        raise ModelError("every parameter is frozen, so there is nothing to train")
    return list(groups.values())


def _rated(
    classifier: Classifier, lr: float, backbone_lr: float, layer_decay: float
) -> list[tuple[str, float, nn.Parameter]]:
    """Return every parameter once, with its stage's name and rate, in the model's order."""
    named_stages = stages(classifier.backbone)
    stage_of = {
        parameter: depth
        for depth, (_, module) in enumerate(named_stages)
        for parameter in module.parameters()
    }
    names = [name for name, _ in named_stages] or ["backbone"]
    rates = [backbone_lr * layer_decay ** (len(names) - 1 - depth) for depth in range(len(names))]
    backbone = [
        (names[depth], rates[depth], parameter)
        for parameter in classifier.backbone.parameters()
        for depth in [stage_of.get(parameter, 0)]
    ]
    parts = (classifier.pooling, classifier.head, classifier.auxiliary)
    heads = [parameter for part in parts for parameter in part.parameters()]
    return backbone + [("head", lr, parameter) for parameter in heads]


def build_optimizer(
    optimizer: OptimizerConfig, classifier: Classifier, *, lr: float, backbone_lr: float | None
) -> torch.optim.Optimizer:
    """Return the recipe's optimizer of a classifier, at a phase's rates.

    Each group keeps its rate as ``initial_lr``, of which a schedule's factor is taken. On a CPU
    and on a CUDA device an update is torch's fused one, a single pass over each tensor: the same
    weights on every run.

    Raises:
        ConfigError: If Nesterov momentum is asked for without momentum.
        ModelError: If every parameter is frozen.
    """
    if optimizer.name == "sgd" and optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError("optimizer.nesterov: true needs optimizer.momentum above 0, such as 0.9")
    groups = parameter_groups(
        classifier,
        lr=lr,
        backbone_lr=backbone_lr,
        layer_decay=optimizer.layer_decay,
        weight_decay=optimizer.weight_decay,
        decay_vectors=optimizer.decay_vectors,
    )
    settings: dict[str, Any] = {"betas": optimizer.betas}
    if optimizer.name == "sgd":
        settings = {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    return OPTIMIZERS[optimizer.name](groups, lr=lr, fused=devices <= _FUSED or None, **settings)


_FUSED = {"cpu", "cuda"}

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
