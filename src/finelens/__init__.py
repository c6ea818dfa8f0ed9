"""finelens fine-tunes vision backbones on your own pictures, honestly.

The verbs are functions here, imported when first used so that ``import finelens`` is light::

    run = finelens.train(data="pictures/")
    finelens.evaluate(run, split="test")
    finelens.load(run).predict(["a.jpg", "b.jpg"])
    finelens.explain(run, "a.jpg", "bird").heat
    finelens.compare([run, other_run])
    finelens.log(run)["val_loss"].to_numpy()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from finelens.api.comparison import compare as compare
    from finelens.api.contact_sheet import contact_sheet as contact_sheet
    from finelens.api.data import check as check
    from finelens.api.evaluation import evaluate as evaluate
    from finelens.api.explain import explain as explain
    from finelens.api.log import log as log
    from finelens.api.results import load as load
    from finelens.api.results import predict as predict
    from finelens.api.results import top as top
    from finelens.api.summary import summary as summary
    from finelens.api.thresholds import save_thresholds as save_thresholds
    from finelens.api.thresholds import what_if as what_if
    from finelens.api.training import demo as demo
    from finelens.api.training import resume as resume
    from finelens.api.training import train as train
    from finelens.web.server import serve as serve

_HOMES = {
    "check": "finelens.api.data",
    "compare": "finelens.api.comparison",
    "contact_sheet": "finelens.api.contact_sheet",
    "demo": "finelens.api.training",
    "evaluate": "finelens.api.evaluation",
    "explain": "finelens.api.explain",
    "load": "finelens.api.results",
    "log": "finelens.api.log",
    "predict": "finelens.api.results",
    "resume": "finelens.api.training",
    "save_thresholds": "finelens.api.thresholds",
    "serve": "finelens.web.server",
    "summary": "finelens.api.summary",
    "top": "finelens.api.results",
    "train": "finelens.api.training",
    "what_if": "finelens.api.thresholds",
}

__all__ = [
    "check",
    "compare",
    "contact_sheet",
    "demo",
    "evaluate",
    "explain",
    "load",
    "log",
    "predict",
    "resume",
    "save_thresholds",
    "serve",
    "summary",
    "top",
    "train",
    "what_if",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'finelens' has no attribute {name!r}")
    from finelens.installation import check_torch

    check_torch()
    return getattr(importlib.import_module(_HOMES[name]), name)
