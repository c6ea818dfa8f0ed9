"""The machine: what a result depends on besides the programs."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe_machine() -> dict[str, str]:
    """Return the processor, its cores and what else is worth knowing, in words."""
    threads = os.environ.get("OMP_NUM_THREADS", "as torch chooses")
    gpu = gpu_name()
    return {
        **({} if gpu is None else {"GPU": gpu}),
        "processor": f"{_processor()}, {_cores()} cores{_bf16()}",
        "threads": f"OMP_NUM_THREADS {threads}",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def gpu_name() -> str | None:
    """Return the name of the GPU that would be used, None where there is none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def load() -> str:
    """Return the load average over a minute, empty where the system has none."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def commit(folder: Path) -> str:
    """Return the short name of the commit that a folder is at, with a plus where it is changed."""
    named = _git(folder, "rev-parse", "--short", "HEAD")
    is_changed = named and _git(folder, "status", "--porcelain", "src", "benchmarks")
    return f"{named}+" if is_changed else named


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    found = _cpuinfo("model name")
    return found or platform.processor() or platform.machine()


def _bf16() -> str:
    flags = _cpuinfo("flags").split()
    kinds = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    return f", {', '.join(kinds)}" if kinds else ", no bf16" if flags else ""


def _cpuinfo(name: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
