"""Freezing: which weights and statistics stay as they are while the rest trains."""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from finelens.errors import ModelError, did_you_mean
from finelens.models.classifier import Classifier
from finelens.models.stages import stages

_NETWORK = "backbone.network"


def apply_freeze(classifier: Classifier, *, freeze: str, statistics: bool = False) -> None:
    """Set which parameters take gradients; what was frozen before is forgotten.

    ``until:LAYER`` freezes a layer of the backbone and all that comes before it. LAYER is the
    path of any of the network's modules (``layer3``, ``blocks.3``, ``Conv2d_4a_3x3``); "before"
    is the order in which modules were registered, at every level of the path, which timm and
    torchvision keep to the order of the forward pass. Parameters that belong directly to a
    module on the way to it (class token, position embedding) are frozen too.

    ``backbone`` freezes the bodies of auxiliary nets too; ``convolutions`` every convolution and
    batch norm, so that AlexNet's and VGG's linear layers still train.

    Args:
        classifier: Is changed; call ``set_training`` before the next training step.
        freeze: ``none``, ``backbone``, ``convolutions`` or ``until:LAYER``.
        statistics: Whether every batch norm keeps its running mean and variance.

    Raises:
        ModelError: If there is no such layer (the nearest are given), or the word is unknown.
    """
    choice, _, layer = freeze.partition(":")
    if freeze not in {"none", "backbone", "convolutions"} and choice != "until":
        raise ModelError(
            f'freeze: "{freeze}" is unknown; use none, backbone, convolutions or until:LAYER'
        )
    frozen: list[str] = []
    if freeze == "backbone":
        frozen = ["backbone", *(f"auxiliary.{n}.body" for n in range(len(classifier.auxiliary)))]
    elif freeze == "convolutions":
        kinds = (_ConvNd, _BatchNorm)
        frozen = [path for path, layer in classifier.named_modules() if isinstance(layer, kinds)]
    elif choice == "until":
        frozen = _parts_until(classifier, layer)
    classifier.requires_grad_(True)
    for path in frozen:
        classifier.get_submodule(path).requires_grad_(False)
    for ancestor in _ancestors(layer):
        for parameter in classifier.get_submodule(ancestor).parameters(recurse=False):
            parameter.requires_grad_(False)
    classifier.frozen_parts = tuple(frozen)
    classifier.statistics_are_frozen = statistics


def set_training(classifier: Classifier) -> None:
    """Put a classifier in training mode, what ``apply_freeze`` froze in evaluation mode.

    Frozen parts thus drop nothing out and keep their batch statistics; with frozen statistics
    every batch norm normalises by its running ones, though its scale and shift may train.
    """
    classifier.train()
    for path in classifier.frozen_parts:
        classifier.get_submodule(path).eval()
    if classifier.statistics_are_frozen:
        for module in classifier.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def _parts_until(classifier: Classifier, layer: str) -> list[str]:
    network = classifier.backbone.network
    known = [path for path, _ in network.named_modules() if path]
    if layer not in known:
        tops = [path for path, _ in stages(classifier.backbone)]
        near = did_you_mean(layer, known, most=5) or f"; its stages are {', '.join(tops)}"
        raise ModelError(
            f'freeze: backbone "{classifier.backbone.name}" has no layer "{layer}"{near}'
        )
    frozen: list[str] = []
    names = layer.split(".")
    for ancestor, name in zip(_ancestors(layer), names, strict=True):
        siblings = [child for child, _ in classifier.get_submodule(ancestor).named_children()]
        frozen += [f"{ancestor}.{child}" for child in siblings[: siblings.index(name)]]
    return [*frozen, f"{_NETWORK}.{layer}"]


def _ancestors(layer: str) -> list[str]:
    """Return the paths of the modules that a layer lies in, outermost first."""
    names = layer.split(".") if layer else []
    return [".".join([_NETWORK, *names[:depth]]) for depth in range(len(names))]


def has_batch_norms(classifier: Classifier) -> bool:
    """Return whether a classifier has a batch norm."""
    return any(isinstance(one, _BatchNorm) for one in classifier.modules())
