"""The peers: an environment of their own, with the torch that finelens has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

_ASKED = ("torch", "torchvision", "timm", "fastai")
_PROGRAM = (
    "import importlib.metadata as m, json, sys;"
    "print(json.dumps({n: m.version(n) for n in sys.argv[1:] if m.packages_distributions()"
    ".get(n.lower())}))"
)


def versions_of(python: Path, names: tuple[str, ...] = _ASKED) -> dict[str, str]:
    """Return the versions of those packages that an interpreter has."""
    done = subprocess.run(
        [python, "-c", _PROGRAM, *names], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def make_peers(folder: Path, own: dict[str, str]) -> Path:
    """Return the interpreter of a new environment with the peers, made where it is missing.

    Args:
        folder: Where it lies.
        own: finelens's versions; torch, torchvision and timm are taken in the same.

    Raises:
        SystemExit: If there is no ``uv``.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        beside = Path(sys.executable).parent / "uv"
        uv = str(beside) if beside.exists() else shutil.which("uv")
        if uv is None:
            raise SystemExit("uv is missing: run make setup, or give --peers PYTHON")
        subprocess.run([uv, "venv", "--python", sys.executable, folder], check=True)
        same = [f"{name}=={own[name].partition('+')[0]}" for name in _ASKED[:3]]
        subprocess.run(
            [uv, "pip", "install", "--python", python, *same, "fastai", "safetensors"], check=True
        )
    return python


def check_same_torch(own: dict[str, str], peers: dict[str, str]) -> None:
    """Raise where the two sides compute with different versions of torch.

    Raises:
        SystemExit: Naming both.
    """
    if own["torch"] != peers.get("torch"):
        raise SystemExit(
            f"finelens runs torch {own['torch']} and the peers {peers.get('torch')}: no "
            "comparison is fair; remove the peers' environment, or give --peers PYTHON"
        )
