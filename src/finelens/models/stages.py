"""Stages: a backbone's parts from input to output, for rates that decay by depth."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from finelens.models.backbone import Backbone


def stages(backbone: Backbone) -> list[tuple[str, nn.ParameterList]]:
    """Return a backbone's stages from input to output, each with its parameters.

    Every parameter is in exactly one of them; one that several parts share is in the first.
    Stages are the network's children in the order they were registered (timm and torchvision
    register in the order of the forward pass), where the one container that holds nearly all
    blocks gives its own children instead. Parts that have vectors only (a norm) and parameters
    that belong to no child (a class token) join the stage before them, or the first. A stage's
    name is the path of its first part.
    """
    found: list[tuple[str, nn.ParameterList]] = []
    leading: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()
    for path, part in _parts(backbone.network, ""):
        parameters = [parameter for parameter in part.parameters() if parameter not in seen]
        seen.update(parameters)
        is_own = not isinstance(part, nn.ParameterList) and any(p.ndim > 1 for p in parameters)
        if is_own:
            found.append((path, nn.ParameterList([*leading, *parameters])))
            leading = []
        elif found:
            found[-1][1].extend(parameters)
        else:
            leading += parameters
    return found


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module's parts that hold parameters, opening the container of its blocks."""
    loose = list(module.parameters(recurse=False))
    if loose:
        yield prefix.rstrip("."), nn.ParameterList(loose)
    opened = _container_of_blocks(module)
    for name, part in _parameterised(module).items():
        path = f"{prefix}{name}"
        if name != opened:
            yield path, part
        elif isinstance(part, nn.Sequential | nn.ModuleList) and len(_parameterised(part)) > 1:
            yield from ((f"{path}.{key}", block) for key, block in _parameterised(part).items())
        else:
            yield from _parts(part, f"{path}.")


def _container_of_blocks(module: nn.Module) -> str | None:
    """Return the child that holds nearly all layers, or None where several share them."""
    blocks = {
        name: _num_layers(part)
        for name, part in _parameterised(module).items()
        if any(part.children())
    }
    largest = max(blocks, key=lambda name: blocks[name], default=None)
    # a ResNet's layer1..layer4 are stages already; 0.8: the third holds up to 72 %
    if largest and len(blocks) > 3 and blocks[largest] < 0.8 * _num_layers(module):
        return None
    return largest


def _parameterised(module: nn.Module) -> dict[str, nn.Module]:
    return {name: part for name, part in module.named_children() if _num_layers(part)}


def _num_layers(module: nn.Module) -> int:
    return sum(1 for part in module.modules() if any(True for _ in part.parameters(recurse=False)))
