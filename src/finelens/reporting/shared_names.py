"""The shared names: the examples of several runs, called alike where they are the same files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from finelens.data.clip_places import parse_place
from finelens.data.example import Span
from finelens.evaluation.scores import Scores

_Place = tuple[str, Span]


@dataclass(frozen=True)
class Named:
    """A run's scores under names that it shares with the runs before it.

    Attributes:
        scores: With the ids of the runs before it where these hold the same files.
        renamed: The first example that another run calls otherwise: its own name and the other;
            None where there is none.
    """

    scores: Scores
    renamed: tuple[str, str] | None = None


def share_names(runs: Sequence[Scores]) -> list[Named]:
    """Return the runs' scores, their examples matched by id, and where that fails by path.

    Two files are one where their paths are after links are followed: a table may name by an
    absolute path what a folder's data name from the folder on. Of clips the part of the video
    must be the same too.
    """
    if len({frozenset(scores.ids) for scores in runs}) < 2:
        return [Named(scores) for scores in runs]
    names: set[str] = set()
    names_by_place: dict[_Place, str] = {}
    named = []
    for scores in runs:
        places = _places(scores)
        taken = names & set(scores.ids)
        ids: list[str] = []
        renamed = None
        for own, place in zip(scores.ids, places, strict=True):
            name = own if own in names else names_by_place.get(place, own)
            if name != own and name in taken:
                name = own
            taken.add(name)
            ids.append(name)
            if name != own and renamed is None:
                renamed = (own, name)
        named.append(Named(replace(scores, ids=tuple(ids)), renamed))
        names |= set(ids)
        for name, place in zip(ids, places, strict=True):
            names_by_place.setdefault(place, name)
    return named


def find_namesakes(ids: Sequence[str], other_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names of which one ends in the other, from a folder's beginning on."""
    found = []
    for shorts, longs, is_turned in ((other_ids, ids, False), (ids, other_ids, True)):
        known = set(shorts)
        for name in longs:
            parts = PurePosixPath(name).parts
            tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
            tail = next((tail for tail in tails if tail in known), None)
            if tail is not None:
                found.append((tail, name) if is_turned else (name, tail))
    return found


def _places(scores: Scores) -> list[_Place]:
    spans = scores.spans or ((None, None),) * scores.num_examples
    return [(_real(path), span) for path, span in zip(scores.paths, spans, strict=True)]


def _real(path: str) -> str:
    place = parse_place(path)
    return str(replace(place, path=os.path.realpath(place.path)))
