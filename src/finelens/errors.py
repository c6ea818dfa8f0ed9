"""The errors a user can mend.

FinelensError
├── ConfigError   a recipe, an option or a verb's argument
├── DataError     pictures, tables, labels, splits
├── ModelError    backbones, weights, model folders
└── RunError      run folders: existing, incomplete, foreign

A message is one or two lines: the thing, the value, the mend.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable
from pathlib import Path


class FinelensError(Exception):
    """A problem in the user's input, told in one or two lines with its mend."""


class ConfigError(FinelensError):
    """A recipe, an option or an argument that contradicts the schema or itself."""


class DataError(FinelensError):
    """Pictures, tables, labels or splits that cannot be used as they are."""


class ModelError(FinelensError):
    """A backbone, a weights file or a model folder that cannot be used."""


class RunError(FinelensError):
    """A run folder that exists already, is incomplete or is not one."""


def typed(path: str | Path) -> str:
    """Return a path as one types it in a shell: quoted where it holds spaces or the like."""
    return shlex.quote(str(path))


def did_you_mean(value: str, choices: Iterable[str], *, most: int = 3) -> str:
    """Return a clause naming the choices nearest to a value, or all when they are few.

    Upper and lower case do not matter. The clause begins with ``; `` so that it can end any
    message; it is empty when there is nothing near to name.
    """
    known = list(dict.fromkeys(choices))
    folded = [name.casefold() for name in known]
    near = difflib.get_close_matches(value.casefold(), dict.fromkeys(folded), n=most, cutoff=0.6)
    if near:
        found = [known[n] for close in near for n, name in enumerate(folded) if name == close]
        return f"; did you mean {_spoken(found[:most], 'or')}?"
    if known and len(known) <= 12:
        return f"; known are {_spoken(known, 'and')}"
    return ""


def _spoken(names: list[str], last_word: str) -> str:
    quoted = [f'"{name}"' for name in names]
    if len(quoted) == 1:
        return quoted[0]
    return f"{', '.join(quoted[:-1])} {last_word} {quoted[-1]}"
