"""The precision: what a network computes in on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from finelens.models.forwards import forwards_replaced

Precision = Literal["fp32", "bf16"]
WantedPrecision = Literal["auto", "fp32", "bf16"]


def resolve_precision(
    wanted: WantedPrecision, device: torch.device, network: nn.Module
) -> Precision:
    """Return what a network computes in.

    ``auto`` is bf16 where the processor computes in it: a CUDA device of compute capability
    8.0 or later, a CPU with AVX512-BF16 or AMX. A network that convolves over time is left in
    fp32 on a CPU.

    Args:
        wanted: What is asked for.
        device: Where it runs.
        network: What runs there.
    """
    if wanted != "auto":
        return wanted
    has_conv3d = any(isinstance(layer, nn.Conv3d) for layer in network.modules())
    if device.type == "cpu" and has_conv3d:
        # torch 2.15's bf16 kernels of Conv3d give NaN now and then: they read memory that
        # nobody wrote
        return "fp32"
    return "bf16" if computes_bf16(device) else "fp32"


@contextmanager
def depthwise_in_fp32(network: nn.Module) -> Iterator[None]:
    """Let depthwise convolutions compute in float32 under a CPU's autocast, for a while.

    They take and give what the layers around them do. Their gradients in bf16 take several times as
    long as in float32 (torch 2.15): whole networks of them train faster so than in either alone.
    """
    layers = [layer for layer in network.modules() if is_depthwise(layer)]
    with forwards_replaced({layer: _in_fp32(layer.forward) for layer in layers}):
        yield


def is_depthwise(layer: nn.Module) -> bool:
    """Return whether a layer convolves the pictures of each channel by themselves."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1


def _in_fp32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def convolve(x_BCHW: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(x_BCHW.float()).to(x_BCHW.dtype)

    return convolve


def computes_bf16(device: torch.device) -> bool:
    """Return whether a device's processor has instructions for bf16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
