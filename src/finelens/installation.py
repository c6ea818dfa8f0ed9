"""The installation: whether torch and torchvision were built for each other."""

from __future__ import annotations

import importlib

from finelens.errors import FinelensError


def check_torch() -> None:
    """Import torch and torchvision together.

    Raises:
        FinelensError: If they were built for different releases of torch; it says the mend.
    """
    try:
        from finelens.late_compiler import late_compiler

        with late_compiler():
            importlib.import_module("torchvision")
            importlib.import_module("torchvision.transforms.v2")
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        # "operator torchvision::nms does not exist", or a symbol of the other release
        reason = str(error).partition("\n")[0]
        raise FinelensError(
            f"torch and torchvision do not fit each other ({reason});\n"
            "install both from one place: pip install --force-reinstall torch torchvision"
        ) from error
