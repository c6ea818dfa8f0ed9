"""Weights: state dicts from files, without ever unpickling code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.auxiliary import TAPS, AuxiliaryClassifier
from finelens.models.backbone import Backbone, one_line
from finelens.models.classifier import Classifier

Weights = dict[str, Tensor]
_NETWORK = "backbone.network."
_HEAD = "head."
_AUXILIARY = "auxiliary."
_POOLING = "pooling."
# what torch.load raises on files that are no checkpoint, or that hold more than tensors
_UNREADABLE = (
    OSError, pickle.UnpicklingError, EOFError, RuntimeError, ValueError, LookupError,
    TypeError, AttributeError, AssertionError,
)  # fmt: skip


def load_weights(classifier: Classifier, path: str | Path) -> tuple[str, ...]:
    """Load a file's weights; return the names of the classifier rows that were dropped, sorted.

    The file may hold finelens' own weights, or a timm or torchvision state dict (also one
    within ``state_dict`` or ``model``, or under ``module.``). The whole backbone must fit; a
    classifier is taken into the head where all its shapes agree, else it is dropped and the
    head stays as it is. So are the body and the classifier of an auxiliary net, and a temporal
    pooling.

    Raises:
        ModelError: If the file cannot be read, holds other things than tensors, or does not
            fit the backbone; the first keys that do not are named, and nothing is changed.
    """
    weights = read_weights(path)
    backbone = classifier.backbone
    network, rows = _divide(backbone, weights)
    problems = mismatches(backbone.network, network)
    if problems:
        network, rows = _divide(backbone, backbone.convert(weights))
        if mismatches(backbone.network, network):
            raise ModelError(
                f'weights {path} do not fit backbone "{backbone.name}": {first_of(problems)}; '
                "set model.backbone and model.options to those they are of"
            )
    backbone.network.load_state_dict(network, strict=False)
    rows = _load_pooling(classifier, _load_auxiliary(classifier, rows))
    others = (_AUXILIARY, _POOLING, *TAPS)
    of_head = {key: rows[key] for key in rows if not key.startswith(others)}
    head = _as_head(backbone, of_head)
    if mismatches(classifier.head, head):
        return tuple(sorted(rows))
    classifier.head.load_state_dict(head)
    return tuple(sorted(rows.keys() - of_head.keys()))


def read_weights(path: str | Path) -> Weights:
    """Return the tensors of a safetensors or a weights-only torch file, on the CPU.

    Raises:
        ModelError: If it cannot be read or holds other things than tensors.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except _UNREADABLE as error:
        raise ModelError(
            f"weights {path} are no weights-only torch file: {one_line(error)[:80]}; "
            "save the state dict alone, as .safetensors"
        ) from error
    return _unwrapped(content, path)


def read_safetensors(path: Path) -> Weights:
    """Return a safetensors file's tensors, on the CPU.

    Raises:
        ModelError: If it cannot be read or is broken.
    """
    try:
        return safetensors.torch.load_file(path)
    except OSError as error:
        raise ModelError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:
        raise ModelError(
            f"weights {path} are no whole safetensors file: {one_line(error)}; fetch them again"
        ) from error


def write_safetensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors to a safetensors file that all may read who may read a new file there.

    Args:
        path: The file; its folder must be there.
        weights: Contiguous tensors that share no memory.

    Raises:
        OSError: If it cannot be written.
        SafetensorError: If it cannot be written (a full disk).
    """
    path.touch()
    mode = path.stat().st_mode
    safetensors.torch.save_file(dict(weights), path, metadata={"format": "pt"})
    # the library makes a file that nobody but its owner can read
    path.chmod(mode)


def mismatches(module: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Return what keeps weights from being a module's, one clause a key; empty if they fit.

    Counters of batches (``num_batches_tracked``) may be missing.
    """
    expected = module.state_dict()
    missing = [
        f'"{key}" is missing'
        for key in expected
        if key not in weights and not key.endswith(".num_batches_tracked")
    ]
    misshapen = [
        f'"{key}" is {list(weights[key].shape)}, not {list(value.shape)}'
        for key, value in expected.items()
        if key in weights and weights[key].shape != value.shape
    ]
    return missing + misshapen + [f'"{key}" is foreign' for key in weights if key not in expected]


def first_of(problems: list[str]) -> str:
    """Return the first three of them as one text, and how many more there are."""
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return ", ".join(problems[:3]) + more


def _load_auxiliary(classifier: Classifier, rows: Weights) -> Weights:
    """Load what fits an auxiliary net; return the rows that were not loaded."""
    for number, net in enumerate(classifier.auxiliary):
        assert isinstance(net, AuxiliaryClassifier)
        for prefix, module in ((f"{_AUXILIARY}{number}.", net), (f"{net.name}.", net.body)):
            keys = [key for key in module.state_dict() if prefix + key in rows]
            fitting = {key: rows[prefix + key] for key in keys}
            if fitting and not mismatches(module, fitting):
                module.load_state_dict(fitting, strict=False)
                rows = {key: rows[key] for key in rows.keys() - {prefix + key for key in keys}}
    return rows


def _load_pooling(classifier: Classifier, rows: Weights) -> Weights:
    """Load the temporal pooling where all of it fits; return the rows that were not loaded."""
    own = {key: value for key, value in rows.items() if key.startswith(_POOLING)}
    weights = {key.removeprefix(_POOLING): value for key, value in own.items()}
    if mismatches(classifier.pooling, weights):
        return rows
    classifier.pooling.load_state_dict(weights)
    return {key: value for key, value in rows.items() if key not in own}


def _divide(backbone: Backbone, weights: Weights) -> tuple[Weights, Weights]:
    """Return the network's weights under its own keys, and the classifier's rows."""
    if any(key.startswith(_NETWORK) for key in weights):
        own = (_HEAD, _AUXILIARY, _POOLING)
        rows = {key: value for key, value in weights.items() if key.startswith(own)}
    else:
        expected = backbone.network.state_dict().keys()
        tops = {name.partition(".")[0] for name in backbone.classifier_names}
        rows = {
            key: weights[key] for key in weights.keys() - expected if key.partition(".")[0] in tops
        }
    network = {
        key.removeprefix(_NETWORK): value for key, value in weights.items() if key not in rows
    }
    return network, rows


def _as_head(backbone: Backbone, rows: Weights) -> Weights:
    """Return classifier rows under the keys they would have in a head."""
    renamed = {
        f"{name}.{kind}": f"output.{kind}"
        for name in backbone.classifier_names
        for kind in ("weight", "bias")
    }
    return {renamed.get(key, key.removeprefix(_HEAD)): value for key, value in rows.items()}


def _unwrapped(content: Any, path: Path) -> Weights:
    for wrapper in ("state_dict", "model", "module"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"weights {path} hold no state dict; save one, as .safetensors")
    others = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ModelError(f'weights {path}: "{others[0]}" is no tensor; save the state dict alone')
    weights = {str(key): value for key, value in content.items()}
    for prefix in ("module.", "_orig_mod."):
        if all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights
