"""The precision: what a network computes in on a device."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

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


def computes_bf16(device: torch.device) -> bool:
    """Return whether a device's processor has instructions for bf16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
