"""The environment: what a run was made with, so that it can be made again."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from finelens.data.manifest import Manifest

_PACKAGES = ("finelens", "torch", "torchvision", "timm", "accelerate", "numpy", "scikit-learn",
             "scipy", "simplejpeg", "pillow", "av", "h5py", "polars", "safetensors")  # fmt: skip


def describe_environment(
    manifest: Manifest,
    bad_files: Mapping[str, str],
    *,
    notes: Mapping[str, str],
    group_note: str | None,
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """Return the content of ``environment.json``."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": precision,
        "num_threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "manifest_sha256": manifest.sha256(),
        "task": str(manifest.task.kind),
        "classes": list(manifest.task.classes),
        "splits": manifest.splits,
        "bad_files": dict(bad_files),
        "notes": dict(notes),
        "group_note": group_note,
    }


def _git_commit() -> str | None:
    """Return the commit of the folder the command was given in, if it is a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
