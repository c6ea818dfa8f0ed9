"""The device: where training runs, in which precision, over how many processes."""

from __future__ import annotations

import importlib.util

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState

from finelens.config.training import TrainConfig
from finelens.errors import ConfigError
from finelens.runs.directory import RunDirectory


def build_accelerator(
    train: TrainConfig, run: RunDirectory, *, has_conv3d: bool = False
) -> Accelerator:
    """Return this process's accelerator: device, precision, processes, TensorBoard.

    Nothing is written before its ``init_trackers``. ``has_conv3d`` as for ``resolve_precision``.

    Raises:
        ConfigError: If TensorBoard is asked for and not installed.
    """
    if train.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "train.tensorboard: the package is missing; pip install 'finelens[tensorboard]'"
        )
    # a second run in one process may want another precision than the first
    AcceleratorState._reset_state()
    # without the flag accelerate takes several processes on a CPU for one each
    is_cpu = not torch.accelerator.is_available()
    device = PartialState(cpu=is_cpu).device or torch.device("cpu")
    return Accelerator(
        cpu=is_cpu,
        mixed_precision=resolve_precision(train.precision, device, has_conv3d=has_conv3d),
        log_with="tensorboard" if train.tensorboard else None,
        project_dir=run.tensorboard,
    )


def resolve_precision(wanted: str, device: torch.device, *, has_conv3d: bool = False) -> str:
    """Return ``bf16`` or ``no`` (fp32), as accelerate spells it.

    ``auto`` is bf16 where the processor computes in it: a CUDA device of compute capability
    8.0 or later, a CPU with AVX512-BF16 or AMX.

    Args:
        wanted: ``auto``, ``fp32`` or ``bf16``.
        device: Where training runs.
        has_conv3d: Whether the network convolves over time; ``auto`` is then fp32 on a CPU.
    """
    if wanted == "auto" and has_conv3d and device.type == "cpu":
        # torch 2.15's bf16 kernels of Conv3d give NaN now and then: they read memory that
        # nobody wrote
        return "no"
    if wanted == "auto":
        return "bf16" if _computes_bf16(device) else "no"
    return "no" if wanted == "fp32" else "bf16"


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
