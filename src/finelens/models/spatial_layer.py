"""The spatial layer: the last that all of a picture passes with its parts still in place."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.func import functional_call

from finelens.errors import ModelError
from finelens.models.backbone import MISFITS, Backbone, one_line
from finelens.models.cut import cut_at

Layout = Literal["volumes", "maps", "channels-last", "tokens"]
Edge = tuple[Node | None, int]
"""A node of autograd's graph, and which of its outputs."""

_POOLS = (
    nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
_MOST_PREFIX_TOKENS = 2


@dataclass(frozen=True)
class SpatialLayer:
    """A layer of a network, and how its output holds maps of the picture.

    Attributes:
        path: Of the submodule in the backbone's network.
        call: Which of its calls in a forward pass, from 0: a network may use a layer again.
        layout: ``volumes`` (B, C, t, h, w), ``maps`` (B, C, h, w), ``channels-last``
            (B, h, w, C) or ``tokens`` (B, num_prefix + h w, C); B counts frames where they are
            seen one by one.
        grid: (h, w).
        num_prefix: Tokens before those of the picture's patches, such as a class token.
    """

    path: str
    call: int
    layout: Layout
    grid: tuple[int, int]
    num_prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """Return an output as maps (B, C, h, w), or (B, C, t, h, w) of volumes."""
        if self.layout == "channels-last":
            return output.movedim(-1, 1)
        if self.layout == "tokens":
            return output[:, self.num_prefix :].transpose(1, 2).unflatten(2, self.grid)
        return output


def find_spatial_layer(backbone: Backbone, size: int) -> SpatialLayer:
    """Return the last layer that keeps the places of a picture and past which nothing leads.

    Its output looks like maps, or tokens of patches, of more than one place, and in autograd's
    graph of a forward pass no way from the picture to the features leads around it. A pool's
    own output is passed over for what enters it, which is finer: of VGG it is the last
    convolution, as in Selvaraju et al. 2017. So are patches' tokens that the features do not
    depend on, as of a last block that only hands on its class token.

    Args:
        backbone: In evaluation mode.
        size: Side of the pictures, pixels.

    Raises:
        ModelError: If there is no such layer.
    """
    try:
        with torch.inference_mode(False):
            survey = _survey(backbone, size)
            for layer, edge in reversed(survey.found):
                if survey.passes(edge) and _is_read(backbone, layer, size):
                    return layer
    except MISFITS as error:
        raise ModelError(
            f'no heat map can be drawn for backbone "{backbone.name}": {one_line(error)}'
        ) from error
    raise ModelError(
        f'no heat map can be drawn for backbone "{backbone.name}": no layer of it holds all of a '
        "picture with its parts in place"
    )


class _Survey:
    """What the layers gave in one forward pass, in the order they ended."""

    def __init__(self, backbone: Backbone) -> None:
        self.found: list[tuple[SpatialLayer, Edge]] = []
        self.features: Edge = (None, 0)
        self.picture: Node | None = None
        self._frames = backbone.input_spec.frames or 1
        self._num_prefix = getattr(backbone.network, "num_prefix_tokens", None)
        self._pooled: set[Edge] = set()
        self._calls: Counter[str] = Counter()

    def note(self, path: str, module: nn.Module, output: Any) -> None:
        """Take down a layer whose output may be maps."""
        call = self._calls[path]
        self._calls[path] += 1
        if not isinstance(output, Tensor) or not output.ndim:
            return
        edge = (output.grad_fn, output.output_nr)
        if isinstance(module, _POOLS):
            self._pooled.add(edge)
        # a container ends with what its last layer gave
        if edge not in self._pooled:
            self.found += [(layer, edge) for layer in self._as_layers(path, call, output)]

    def passes(self, edge: Edge) -> bool:
        """Return whether every way from the features back to the picture leads by an edge."""
        ways, seen = [self.features], {edge}
        while ways:
            way = ways.pop()
            if way in seen or way[0] is None:
                continue
            if way[0] is self.picture:
                return False
            seen.add(way)
            ways.extend(way[0].next_functions)
        return True

    def _as_layers(self, path: str, call: int, output: Tensor) -> Iterator[SpatialLayer]:
        sides = tuple(output.shape[1:])
        if len(output) == 1 and output.ndim == 5 and sides[2] == sides[3] > 1:
            yield SpatialLayer(path, call, "volumes", (sides[2], sides[3]))
        if len(output) != self._frames:
            return
        if output.ndim == 4 and sides[0] == sides[1] > 1:
            yield SpatialLayer(path, call, "channels-last", (sides[0], sides[1]))
        if output.ndim == 4 and sides[1] == sides[2] > 1:
            yield SpatialLayer(path, call, "maps", (sides[1], sides[2]))
        if output.ndim == 3:
            known = self._num_prefix
            prefixes = range(_MOST_PREFIX_TOKENS + 1) if known is None else {known, 0}
            for num_prefix in sorted(prefixes):
                side = math.isqrt(max(sides[0] - num_prefix, 0))
                if side > 1 and side * side == sides[0] - num_prefix:
                    yield SpatialLayer(path, call, "tokens", (side, side), num_prefix)


def _survey(backbone: Backbone, size: int) -> _Survey:
    survey, thread = _Survey(backbone), threading.get_ident()

    def note(module: nn.Module, _inputs: Any, output: Any, *, path: str) -> None:
        if threading.get_ident() == thread:
            survey.note(path, module, output)

    hooks = [
        module.register_forward_hook(partial(note, path=path))
        for path, module in backbone.network.named_modules()
        if path
    ]
    try:
        with torch.enable_grad(), _only_the_shape_of_the_graph():
            picture = _blank(backbone, size).requires_grad_()
            begin = picture.view_as(picture)
            features_BF = _forward(backbone, begin)
    finally:
        for hook in hooks:
            hook.remove()
    survey.picture = begin.grad_fn
    survey.features = (features_BF.grad_fn, features_BF.output_nr)
    return survey


def _blank(backbone: Backbone, size: int) -> Tensor:
    if backbone.takes_clips:
        return torch.zeros(1, backbone.input_spec.frames or 1, 3, size, size, device="meta")
    device = next((parameter.device for parameter in backbone.parameters()), None)
    return torch.zeros(1, 3, size, size, device=device)


def _forward(backbone: Backbone, picture: Tensor) -> Tensor:
    if not picture.is_meta:
        return backbone(picture)
    # a clip's pass on numbers would take seconds
    state = {key: value.to("meta") for key, value in backbone.state_dict().items()}
    return functional_call(backbone, state, (picture,))


@contextmanager
def _only_the_shape_of_the_graph() -> Iterator[None]:
    # what a gradient would need is not kept: none is taken
    def refuse(_: None) -> Tensor:
        raise AssertionError("the graph holds no tensors")

    with saved_tensors_hooks(lambda _: None, refuse):
        yield


def _is_read(backbone: Backbone, layer: SpatialLayer, size: int) -> bool:
    """Return whether the features depend on what the layer gave, on patches where it has tokens."""
    with cut_at(backbone.network, layer.path, call=layer.call) as cut:
        features_BF = _forward(backbone, _blank(backbone, size))
        if not (features_BF.requires_grad and layer.num_prefix):
            return features_BF.requires_grad
        # not their sum: that of a layer norm's output is the same whatever enters
        weights_F = torch.rand(features_BF.shape[1], generator=torch.Generator().manual_seed(0))
        value = (features_BF * weights_F.to(features_BF)).sum()
        gradient = torch.autograd.grad(value, cut.output, allow_unused=True)[0]
    return gradient is not None and bool(layer.maps(gradient).any())
