"""The summary: a network's layers, the shapes between them and their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from finelens.models.classifier import Classifier


@dataclass(frozen=True)
class LayerRow:
    """One layer as it ran.

    Attributes:
        path: Where it lies in the classifier.
        kind: Its class's name.
        output_shape: Of what it gave; frames that were folded into the batch count in the first.
        num_parameters: Its own, 0 where an earlier row has them.
    """

    path: str
    kind: str
    output_shape: tuple[int, ...]
    num_parameters: int


@dataclass(frozen=True)
class NetworkSummary:
    """What a network does to an input, layer by layer.

    Attributes:
        input_shape: Of the input, the batch first.
        layers: In the order in which they ran.
        num_parameters: Of the whole network; more than the layers' sum where a layer is used
            without being called.
        num_trainable_parameters: Those of them that are not frozen.
    """

    input_shape: tuple[int, ...]
    layers: tuple[LayerRow, ...]
    num_parameters: int
    num_trainable_parameters: int

    def __str__(self) -> str:
        """Return a table, one line a layer, and a line of totals."""
        rows = [
            ("layer", "kind", "output", "parameters"),
            ("", "input", _shape(self.input_shape), ""),
            *(
                (row.path, row.kind, _shape(row.output_shape), f"{row.num_parameters:,}")
                for row in self.layers
            ),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{path:<{widths[0]}}  {kind:<{widths[1]}}  {shape:<{widths[2]}}  {count:>{widths[3]}}"
            for path, kind, shape, count in rows
        ]
        totals = f"{self.num_parameters:,} parameters, {self.num_trainable_parameters:,} trainable"
        return "\n".join([*lines, totals])


def summarise_network(classifier: Classifier, input_shape: Sequence[int]) -> NetworkSummary:
    """Return the layers of a classifier as zeros of a shape run through it.

    Layers are the modules that run and have no children, or parameters beside those of their
    children. The classifier is left as it was.

    Args:
        classifier: On any device.
        input_shape: (B, C, H, W), or (B, T, C, H, W) of clips.

    Raises:
        ModelError: If it takes clips and this is a picture's shape, or clips of another length.
    """
    rows: list[LayerRow] = []
    counted: set[int] = set()
    hooks = [
        module.register_forward_hook(partial(_note, path=path, rows=rows, counted=counted))
        for path, module in classifier.named_modules()
        if not [*module.children()] or [*module.parameters(recurse=False)]
    ]
    modes = {module: module.training for module in classifier.modules()}
    device = next(classifier.parameters()).device
    try:
        with torch.no_grad():
            classifier.eval()(torch.zeros(*input_shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return NetworkSummary(
        input_shape=tuple(input_shape),
        layers=tuple(rows),
        num_parameters=classifier.num_parameters,
        num_trainable_parameters=classifier.num_trainable_parameters,
    )


def _note(
    layer: nn.Module,
    _inputs: Any,
    output: Any,
    *,
    path: str,
    rows: list[LayerRow],
    counted: set[int],
) -> None:
    # an LSTM gives its outputs, then its last state
    first = output if isinstance(output, Tensor) else output[0]
    own = [
        parameter for parameter in layer.parameters(recurse=False) if id(parameter) not in counted
    ]
    counted.update(id(parameter) for parameter in own)
    num_parameters = sum(parameter.numel() for parameter in own)
    rows.append(LayerRow(path, type(layer).__name__, tuple(first.shape), num_parameters))


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
