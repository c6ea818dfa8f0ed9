"""Everything that is to be fast, beside what people use now: the table of docs/BENCHMARKS.md.

Two contenders a row do the same work in turn, A B A B, one at a time; medians, the ratio of the
medians and that of the slowest and the fastest round are told. ``make bench`` runs all rows:

    python benchmarks/bench.py [--data ../shared/data] [--rows loader train ...] [--rounds 5]
        [--photos FOLDER] [--voc FOLDER] [--plants FOLDER] [--clips FOLDER] [--weights FOLDER]
        [--peers PYTHON] [--out runs/bench] [--write docs/BENCHMARKS.md] [--smoke]

Rows whose data is missing are left out; where there is a GPU, so are those without one, and the
other way round. The peers (timm, fastai) get an environment of their own under ``--out``, with
finelens's torch, unless ``--peers`` names an interpreter that has them.
What was measured is kept in ``work/results.json`` there: rows may be measured one at a time.
``--smoke`` does as little as shows that everything works, and writes no document.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from suite import inputs
from suite.children import Jobs, Resident
from suite.document import splice, table_line, write_section
from suite.figures import Measured
from suite.machine import commit, describe_machine, gpu_name, load
from suite.peers import check_same_torch, make_peers, versions_of
from suite.row import Bench, Contender, Row
from suite.rows import ROWS

_ROOT = Path(__file__).parents[1]
_PLACES = {
    "photos": "photos_fullsize",
    "voc": "voc2007",
    "plants": "plant_seedlings12",
    "clips": "room_clips",
    "weights": "weights",
}
_OWN = ("torch", "torchvision", "timm", "simplejpeg")


def choose_rows(wanted: Sequence[str]) -> list[Row]:
    """Return the rows of some names, or all where none is named.

    A name is a row's key or, where it is none, the beginning of several such as ``train``.

    Raises:
        SystemExit: If there is no such row.
    """
    for name in wanted:
        if not any(_is_meant(row, name) for row in ROWS):
            raise SystemExit(f"--rows {name}: choose from {', '.join(row.key for row in ROWS)}")
    keys = {row.key for row in ROWS}
    # a whole key means its row alone
    whole, beginnings = keys.intersection(wanted), set(wanted) - keys
    return [
        row
        for row in ROWS
        if not wanted or row.key in whole or any(_is_meant(row, name) for name in beginnings)
    ]


def lack(row: Row, data: dict[str, Path], *, has_gpu: bool) -> str | None:
    """Return why a row cannot be measured here, None where it can."""
    if row.on_gpu != has_gpu:
        return f"it is measured {'on' if row.on_gpu else 'without'} a GPU"
    missing = [name for name in row.data if name not in data]
    return f"no {', '.join(missing)}: give --data or --{missing[0]}" if missing else None


def needs_peers(row: Row) -> bool:
    """Return whether timm or fastai is on a side of a row."""
    return any(side.is_peer for side in (row.ours, row.theirs) if side is not None)


def _is_meant(row: Row, name: str) -> bool:
    return row.key == name or row.key.startswith(f"{name}-")


def measure(bench: Bench, row: Row, num_rounds: int) -> dict[str, Any]:
    """Return what a row's rounds told, as plain values."""
    if row.check:
        row.check(bench)
    folder = bench.work / row.key / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    sides = [side for side in (row.ours, row.theirs) if side is not None]
    answers: list[list[dict[str, Any]]] = [[] for _ in sides]
    with ExitStack() as stack:
        children = [
            stack.enter_context(_child(bench, side, folder / str(number)))
            for number, side in enumerate(sides)
        ]
        if all(side.is_whole and side.quality is None for side in sides):
            for child in children:
                child.round()  # disk caches and bytecode; not counted
        for number in range(num_rounds):
            for side, told, child in zip(("finelens", "peer"), answers, children, strict=False):
                told.append(child.round())
                print(f"  round {number + 1}, {side}: {_told(told[-1])}", flush=True)
    versions = {name: one for child in children for name, one in child.versions.items()}
    return {"unit": answers[0][0]["unit"], "answers": answers, "versions": versions}


def _child(bench: Bench, side: Contender, folder: Path) -> Resident | Jobs:
    folder.mkdir()
    if side.is_whole:
        return Jobs(bench, side, folder)
    return Resident(side.command(bench, folder / "out"), folder / "log")


def _told(answer: dict[str, Any]) -> str:
    against = answer["extra"].get("against")
    beside = "" if against is None else f" against {against:.2f}"
    quality = f", quality {answer['quality']:.4f}" if "quality" in answer else ""
    return f"{answer['value']:.2f} {answer['unit']}{beside}{quality}"


def figures(result: dict[str, Any]) -> Measured:
    """Return the values of a stored row."""
    ours = result["answers"][0]
    theirs = result["answers"][1] if len(result["answers"]) > 1 else []
    against = [one["extra"]["against"] for one in ours if "against" in one["extra"]]
    return Measured(
        unit=result["unit"],
        ours=[one["value"] for one in ours],
        theirs=against or [one["value"] for one in theirs],
        our_qualities=[one["quality"] for one in ours if "quality" in one],
        their_qualities=[one["quality"] for one in theirs if "quality" in one],
        peaks_mb=[one["extra"]["peak_mb"] for one in ours if "peak_mb" in one["extra"]],
    )


def section(stored: dict[str, Any]) -> str:
    """Return the document's part of all that was measured."""
    rows = stored["rows"]
    lines = [
        table_line(row.key, row.what, row.peer, figures(rows[row.key]), row.target)
        for row in ROWS
        if row.key in rows
    ]
    commits = {one for row in rows.values() for one in row["commit"].split(", ")}
    counts = sorted({len(result["answers"][0]) for result in rows.values()})
    told = {
        **stored["machine"],
        "versions": ", ".join(f"{name} {one}" for name, one in sorted(stored["versions"].items())),
        "measured": f"{', '.join(sorted({one['at'] for one in rows.values()}))}, at "
        f"{', '.join(sorted(commits))}; load when a row began "
        f"{', '.join(sorted({one['load'] for one in rows.values()}))}",
        "rounds": f"{', '.join(map(str, counts))} (1 of the rows that are whole trainings)",
        "data": ", ".join(sorted({name for row in ROWS if row.key in rows for name in row.data})),
    }
    return write_section(lines, told)


def main() -> None:
    """Measure the rows asked for, keep the results, write the document."""
    arguments = parse()
    rows, data = choose_rows(arguments.rows), find_data(arguments)
    out: Path = arguments.out.resolve()
    work = out / ("smoke" if arguments.smoke else "work")
    work.mkdir(parents=True, exist_ok=True)
    has_gpu = gpu_name() is not None
    lacking = {row.key: lack(row, data, has_gpu=has_gpu) for row in rows}
    own = versions_of(Path(sys.executable), _OWN)
    if arguments.peers or any(needs_peers(row) for row in rows if lacking[row.key] is None):
        peers = arguments.peers or make_peers(out / "peers", own)
        theirs = versions_of(peers)
        check_same_torch(own, theirs)
    else:
        peers, theirs = Path(sys.executable), {}
    bench = Bench(data, work, Path(sys.executable), peers, arguments.smoke)
    path = work / "results.json"
    fixed = {
        "machine": describe_machine(),
        "versions": own | theirs,
        "sources": {name: inputs.mark(place) for name, place in bench.data.items()},
    }
    stored = recall(path, fixed)
    num_left_out = 0
    for row in rows:
        reason = lacking[row.key]
        if reason is not None:
            if arguments.rows or row.on_gpu == has_gpu:
                print(f"{row.key}: left out, {reason}")
                num_left_out += 1
            continue
        num_rounds = min(arguments.rounds, row.most_rounds or arguments.rounds)
        facts = {"at": time.strftime("%Y-%m-%d"), "commit": commit(_ROOT), "load": load()}
        print(f"{row.key}: {row.what}" + (f", against {row.peer}" if row.peer else ""), flush=True)
        stored["rows"][row.key] = measure(bench, row, num_rounds) | facts
        path.write_text(json.dumps(stored, indent=1))
        if arguments.smoke:
            print(f"{row.key}: works; a smoke run's figures mean nothing")
        else:
            measured = figures(stored["rows"][row.key])
            print(table_line(row.key, row.what, row.peer, measured, row.target))
    if arguments.write and not arguments.smoke and stored["rows"]:
        text = arguments.write.read_text()
        arguments.write.write_text(splice(text, section(stored), on_gpu=has_gpu))
    if arguments.rows and num_left_out:
        raise SystemExit(f"left out of the rows asked for: {num_left_out}")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line; None: that of this process."""
    parser = argparse.ArgumentParser(
        description="What is to be fast, beside what people use now",
        epilog=f"Rows: {', '.join(row.key for row in ROWS)}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, default=_ROOT / "../shared/data", help="folder of the data sets below"
    )
    for name, folder in _PLACES.items():
        parser.add_argument(
            f"--{name}", type=Path, metavar="FOLDER", help=f"its {name}, in place of {folder}"
        )
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="ROW",
        help="rows, or beginnings of their names such as train; none: all",
    )  # fmt: skip
    parser.add_argument("--rounds", type=_at_least_one, default=5, help="of each row")
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON",
        help="an interpreter that has timm and fastai; without, they are installed under --out "
        "(about 6 GB)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=_ROOT / "runs/bench", help="where all is kept")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="write the table there")
    parser.add_argument("--smoke", action="store_true", help="does everything work? no figures")
    arguments = parser.parse_args(words)
    if arguments.peers is not None and not arguments.peers.is_file():
        parser.error(f"--peers {arguments.peers}: there is no such interpreter")
    return arguments


def _at_least_one(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word} must be 1 or more")
    return number


def find_data(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the data sets that are there, by name.

    Raises:
        SystemExit: If one that is named is not there, or has no file.
    """
    for name in _PLACES:
        named: Path | None = getattr(arguments, name)
        if named is not None and not any(one.is_file() for one in named.rglob("*")):
            raise SystemExit(f"--{name} {named}: there is no such folder, or no file in it")
    places = {
        name: getattr(arguments, name) or arguments.data / folder
        for name, folder in _PLACES.items()
    }
    return {name: place.resolve() for name, place in places.items() if place.is_dir()}


def recall(path: Path, fixed: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured before on this machine with these versions, or nothing yet.

    Rows of a data set that is now taken from another place are left out.
    """
    if not path.exists():
        return {**fixed, "rows": {}}
    stored = json.loads(path.read_text())
    versions: dict[str, str] = stored.get("versions", {})
    # without a row that needs them the peers have no versions
    is_other = any(versions.get(name, one) != one for name, one in fixed["versions"].items())
    if is_other or stored.get("machine") != fixed["machine"]:
        print(f"{path} is of another machine or other versions: begun anew")
        return {**fixed, "rows": {}}
    sources: dict[str, str] = stored.get("sources", {}) | fixed["sources"]
    moved = {name for name, one in sources.items() if stored.get("sources", {}).get(name) != one}
    gone = {row.key for row in ROWS if row.key in stored["rows"] and moved.intersection(row.data)}
    if gone:
        print(f"{path}: {', '.join(sorted(gone))} are of other data: left out")
    rows = {key: row for key, row in stored["rows"].items() if key not in gone}
    return {
        **fixed, "versions": versions | fixed["versions"], "sources": sources, "rows": rows,
    }  # fmt: skip


if __name__ == "__main__":
    main()
