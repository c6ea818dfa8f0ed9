"""The device: where training runs, in which precision, over how many processes."""

from __future__ import annotations

import importlib.util

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import nn

from finelens.config.training import TrainConfig
from finelens.errors import ConfigError
from finelens.models.precision import resolve_precision
from finelens.runs.directory import RunDirectory


def build_accelerator(train: TrainConfig, run: RunDirectory, network: nn.Module) -> Accelerator:
    """Return this process's accelerator for a network: device, precision, processes, TensorBoard.

    Nothing is written before its ``init_trackers``.

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
    precision = resolve_precision(train.precision, device, network)
    return Accelerator(
        cpu=is_cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        log_with="tensorboard" if train.tensorboard else None,
        project_dir=run.tensorboard,
    )
