"""Backbones: every timm and torchvision classification network, and the clip networks.

Each without its classifier.

With ``library_layers`` the only file that knows timm and torchvision.models.
"""

from __future__ import annotations

import functools
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, cast
from urllib.parse import urlsplit

import huggingface_hub.constants
from torch import nn

from finelens.errors import ModelError, did_you_mean
from finelens.late_compiler import late_compiler
from finelens.models.auxiliary import TAPS, take_auxiliary
from finelens.models.backbone import MISFITS, Backbone, InputSpec, one_line
from finelens.models.clip_networks import CLIP_NETWORKS, clip_input, clip_options

with late_compiler():
    import timm
    import torchvision.models
    from timm.data.config import resolve_data_config

TORCHVISION = "torchvision:"
VIDEO_NETWORKS = ("mc3_18", "r2plus1d_18", "r3d_18", "s3d")
"""torchvision's networks that take clips."""

_NUM_IMAGENET_CLASSES = 1000
_NUM_KINETICS_CLASSES = 400
_VIDEO_FRAMES = 16
_WITH_AUXILIARY = ("inception_v3", "torchvision:inception_v3", "torchvision:googlenet")
# would give another network than the name says, or read another file
_RESERVED_OPTIONS = frozenset({
    "aux_logits", "cache_dir", "checkpoint_path", "features_only", "in_chans", "num_classes",
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "weights",
})  # fmt: skip


@functools.cache
def backbone_names() -> tuple[str, ...]:
    """Return every name a recipe can give, sorted: timm's, ``clip:``, ``torchvision:`` and a name.

    Those of ``clip:`` and ``VIDEO_NETWORKS`` take clips, all others pictures. A timm name may
    also carry a tag, such as ``resnet18.a1_in1k``.
    """
    theirs = (TORCHVISION + name for name in _torchvision_names())
    return (*sorted(timm.list_models()), *CLIP_NETWORKS, *theirs)


def create_backbone(
    name: str,
    *,
    pretrained: bool = False,
    options: Mapping[str, Any] | None = None,
    size: int | None = None,
    frames: int | None = None,
    auxiliary: bool = False,
) -> Backbone:
    """Return a network without its classifier.

    Args:
        name: A timm name, or ``clip:`` or ``torchvision:`` and a name.
        pretrained: Whether to download its ImageNet (of video networks: Kinetics) weights; else
            they are random.
        options: For the constructor, such as ``{"pad_type": "same"}``.
        size: Side of the pictures it will see, pixels; None: its own. Vision transformers of
            fixed size and ``clip:`` networks are built for it.
        frames: T of the clips that a clip network will see; None: its own. Nothing to others.
        auxiliary: Whether its auxiliary nets (Inception, GoogLeNet) come with it; else they
            are left out as its classifier is.

    Raises:
        ModelError: If the name (the nearest are given), an option or the size is not the
            network's, it has no auxiliary nets, or the weights cannot be downloaded (a file
            can be given instead).
    """
    given = dict(options or {})
    for option in sorted(_RESERVED_OPTIONS & given.keys()):
        raise ModelError(f'model.options: "{option}" is set by finelens itself; leave it out')
    bare = name.partition(".")[0]
    if auxiliary and bare not in _WITH_AUXILIARY:
        raise ModelError(
            f'loss.auxiliary_weight: backbone "{name}" has no auxiliary nets; set it to 0, or '
            f"model.backbone to one of {', '.join(_WITH_AUXILIARY)}"
        )
    settings: dict[str, Any] = {"pretrained": pretrained, "size": size, "auxiliary": auxiliary}
    if name in CLIP_NETWORKS:
        return _from_clip_networks(name, given, pretrained=pretrained, size=size, frames=frames)
    if name.startswith(TORCHVISION) and name in backbone_names():
        return _from_torchvision(name, given, **settings, frames=frames)
    if timm.is_model(name):
        return _from_timm(name, given, **settings)
    raise ModelError(f'backbone "{name}" is unknown{_nearest_names(name)}')


def _from_clip_networks(
    name: str, options: dict[str, Any], *, pretrained: bool, size: int | None, frames: int | None
) -> Backbone:
    if pretrained:
        raise ModelError(
            f'backbone "{name}" has no weights to download; set model.pretrained=false'
        )
    complete = clip_options(options, size=size, frames=frames)
    network = _construct(name, CLIP_NETWORKS[name], complete, pretrained=False)
    return Backbone(
        network, name=name, options=complete, input_spec=clip_input(complete), classifier_names=()
    )


def _from_timm(
    name: str, options: dict[str, Any], *, pretrained: bool, size: int | None, auxiliary: bool
) -> Backbone:
    config = _timm_config(name)
    is_fixed = bool(config.get("fixed_input_size"))
    if is_fixed:
        height, width = config["input_size"][1:]
        if height != width or size not in {None, width}:
            options.setdefault("img_size", size or width)
    # the auxiliary net is built with as many classes as the classifier: not with none
    settings: dict[str, Any] = {"aux_logits": True} if auxiliary else {"num_classes": 0}
    create = functools.partial(timm.create_model, name, pretrained=pretrained, **settings)
    network = _construct(name, create, options, pretrained=pretrained)
    taken = tuple(take_auxiliary(network))
    if auxiliary:
        cast(Any, network).reset_classifier(0)
    found = resolve_data_config(pretrained_cfg=config)
    built_for = options.get("img_size", found["input_size"][-1])
    spec = InputSpec(
        size=int(built_for[-1] if isinstance(built_for, list | tuple) else built_for),
        mean=found["mean"],
        std=found["std"],
        interpolation="bilinear" if found["interpolation"] == "bilinear" else "bicubic",
        crop_fraction=min(found["crop_pct"], 1.0),
    )
    classifiers = config.get("classifier") or ()
    names = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    return Backbone(
        network,
        name=name,
        options=options,
        input_spec=spec,
        classifier_names=(*names, *TAPS),
        auxiliary=taken,
        size=size,
    )


def _timm_config(name: str) -> dict[str, Any]:
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise ModelError(f'backbone "{name}" has no such tag{did_you_mean(name, tags)}') from error
    return config.to_dict() if config else {}


def _from_torchvision(
    name: str,
    options: dict[str, Any],
    *,
    pretrained: bool,
    size: int | None,
    frames: int | None,
    auxiliary: bool,
) -> Backbone:
    bare = name.removeprefix(TORCHVISION)
    weights: Any = torchvision.models.get_model_weights(bare)
    view = weights.DEFAULT.transforms()
    if bare.startswith("vit_"):
        options.setdefault("image_size", size or view.crop_size[0])
    settings: dict[str, Any] = {}
    if bare in {"inception_v3", "googlenet"}:
        # their weights expect pictures that the network itself brings from ImageNet's statistics
        settings = {"aux_logits": auxiliary, "transform_input": True}
        settings |= {} if pretrained else {"init_weights": True}
    create = functools.partial(
        torchvision.models.get_model, bare, weights="DEFAULT" if pretrained else None, **settings
    )
    network = _construct(name, create, options, pretrained=pretrained)
    taken = tuple(take_auxiliary(network))
    is_video = bare in VIDEO_NETWORKS
    spec = InputSpec(
        size=options.get("image_size", view.crop_size[0]),
        mean=tuple(view.mean),
        std=tuple(view.std),
        interpolation=view.interpolation.value,
        crop_fraction=min(view.crop_size[0] / view.resize_size[0], 1.0),
        frames=(frames or _VIDEO_FRAMES) if is_video else None,
    )
    num_classes = _NUM_KINETICS_CLASSES if is_video else _NUM_IMAGENET_CLASSES
    return Backbone(
        network,
        name=name,
        options=options,
        input_spec=spec,
        classifier_names=(_remove_classifier(network, num_classes), *TAPS),
        auxiliary=taken,
        time_axis=2 if is_video else 1,
        size=size,
    )


def _remove_classifier(network: nn.Module, num_classes: int) -> str:
    """Replace the last layer that gives the pretrained classes; return its path."""
    path = [
        path
        for path, layer in network.named_modules()
        if getattr(layer, "out_features", getattr(layer, "out_channels", None)) == num_classes
    ][-1]
    parent, _, last = path.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return path


def _construct(
    name: str, create: Callable[..., nn.Module], options: dict[str, Any], *, pretrained: bool
) -> nn.Module:
    try:
        with _cache_alone_when_offline() if pretrained else nullcontext():
            return create(**options)
    except OSError as error:
        # the hub's client goes on for several sentences
        reason = one_line(error).partition(". ")[0]
        raise ModelError(
            f'backbone "{name}": its pretrained weights cannot be downloaded: {reason}\n'
            "give a file with `--set model.weights=FILE`, or start from random weights "
            "with `--set model.pretrained=false`"
        ) from error
    except MISFITS as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown and unknown[1] == "img_size":
            raise ModelError(
                f'backbone "{name}" takes pictures of one size only; leave input.size unset'
            ) from error
        if unknown:
            raise ModelError(
                f'model.options: "{unknown[1]}" is no option of backbone "{name}"; leave it out'
            ) from error
        means = f" with model.options {options}" if options else ""
        raise ModelError(f'backbone "{name}" cannot be built{means}: {one_line(error)}') from error


@contextmanager
def _cache_alone_when_offline() -> Iterator[None]:
    """Let the hub's client answer from its cache where its host has no address.

    It would try again for most of a minute, and say so on every try.
    """
    constants = huggingface_hub.constants
    before = constants.HF_HUB_OFFLINE
    host = urlsplit(constants.ENDPOINT).hostname
    try:
        # behind a proxy, this machine need not know the host
        if not urllib.request.getproxies():
            socket.getaddrinfo(host, None)
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _nearest_names(name: str) -> str:
    bare = name.removeprefix(TORCHVISION)
    if TORCHVISION + bare in backbone_names():
        return did_you_mean(TORCHVISION + bare, [TORCHVISION + bare])
    return did_you_mean(name, backbone_names())


def _torchvision_names() -> list[str]:
    pictures = torchvision.models.list_models(module=torchvision.models)
    return sorted([*pictures, *VIDEO_NETWORKS])
