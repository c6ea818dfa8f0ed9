"""The late compiler: libraries are imported without ``torch._dynamo``, which takes seconds.

torchvision and timm import torch's compiler for a decorator and a question; whoever compiles
nothing (who checks, predicts, serves) need not wait for it, nor hold its 150 MB.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch.compiler

try:
    from torch._compile import _disable_dynamo
except ImportError:  # another torch, which imports its compiler at once
    _disable_dynamo = None

_UTILS = "torch._dynamo.utils"
_QUESTION = "is_compile_supported"


@contextmanager
def late_compiler() -> Iterator[None]:
    """While the block lasts, let what is imported have the compiler when it first uses it.

    ``torch.compiler.disable`` does then what torch's own modules use instead, which imports the
    compiler when the function is called, and so does ``is_compile_supported``. Where the compiler
    has been imported already, nothing changes.
    """
    if _disable_dynamo is None or _UTILS in sys.modules:
        yield
        return
    stand_in = _StandIn(_UTILS)
    disable = torch.compiler.disable
    sys.modules[_UTILS] = stand_in
    torch.compiler.disable = _disable
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_UTILS) is stand_in:
            del sys.modules[_UTILS]


class _StandIn(ModuleType):
    """Stands in for the module: a question of it is asked when called, all else is had at once."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name != _QUESTION:
            return getattr(self._real(), name)
        return lambda *given: getattr(self._real(), name)(*given)

    def _real(self) -> ModuleType:
        if sys.modules.get(_UTILS) is self:
            del sys.modules[_UTILS]
        return importlib.import_module(_UTILS)


def _disable(function: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    assert _disable_dynamo is not None
    del reason  # said where compiling stumbles, which is not known so late
    return _disable_dynamo(function, recursive)
