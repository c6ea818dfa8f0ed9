"""A row: two contenders that do the same work, and what is asked of the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from suite.figures import Target


@dataclass(frozen=True)
class Bench:
    """What the contenders are given.

    Attributes:
        data: The data sets there are, by name: photos, voc, plants, clips, weights.
        work: A folder for what is made of them.
        python: finelens's interpreter.
        peers: The peers' interpreter.
        is_smoke: Whether to do as little as shows that everything works.
    """

    data: dict[str, Path]
    work: Path
    python: Path
    peers: Path
    is_smoke: bool


@dataclass(frozen=True)
class Contender:
    """One side of a row.

    Attributes:
        command: The command line; of a whole job, given also the path that it may write to.
        is_whole: Whether every round is a process of its own, timed from start to end; else one
            process stays and obeys ``gate.py``'s protocol.
        quality: Of a whole job: how good what it left at that path is.
        is_peer: Whether the peers' interpreter runs it.
    """

    command: Callable[[Bench, Path], list[str]]
    is_whole: bool = False
    quality: Callable[[Bench, Path], float] | None = None
    is_peer: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        key: What ``--rows`` names it by.
        what: The work, in words.
        peer: Who does it on the other side; empty: nobody.
        target: What is asked; of a mere comparison nothing.
        data: The data sets it needs.
        ours: finelens.
        theirs: The peer; None where there is none, or where ``ours`` tells both values.
        most_rounds: Where rounds are too long for many.
        check: Raises where speed was bought with something else.
        on_gpu: Whether it is measured on a GPU; the others are measured without.
    """

    key: str
    what: str
    peer: str
    target: Target
    data: tuple[str, ...]
    ours: Contender
    theirs: Contender | None = None
    most_rounds: int | None = None
    check: Callable[[Bench], None] | None = None
    on_gpu: bool = False
