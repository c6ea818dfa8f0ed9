"""Whether what makes finelens fast changes what it learns: the default recipe in two ways, by seed.

    python benchmarks/same_metrics.py DATA --out RUNS [--against plain] [--seeds 3]
        [--set SETTING ...]

``fast`` is what a user gets: bf16 where the processor has it, channels last, loader processes, the
cache. ``plain`` is float32, channels first, read by the training process, nothing cached. ``full``
is fast, but both phases see pictures as large as those that are scored. All have the same seeds,
splits and numbers of updates. What is told is the test figure of every run, and how far the two lie
apart beside how far seeds lie apart. A run that is in ``RUNS`` is not trained again, whatever DATA
and settings it had.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import finelens
from finelens.progress import Silent

FAST = "fast"
WAYS = {
    FAST: ("data.cache=true",),
    "full": ("data.cache=true", "phases.0.scale=1", "phases.1.scale=1"),
    "plain": (
        "data.cache=false", "train.precision=fp32", "train.channels_last=false",
        "train.num_workers=0",
    ),
}  # fmt: skip


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description="One recipe in two ways, by seed")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS")
    parser.add_argument("--against", choices=[way for way in WAYS if way != FAST], default="plain")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SETTING")
    arguments = parser.parse_args()
    other = arguments.against
    figures: dict[str, list[float]] = {FAST: [], other: []}
    for seed in range(arguments.seeds):
        for way in figures:
            run = arguments.out / f"{way}-{seed}"
            started = time.perf_counter()
            if not (run / "evaluation" / "test").exists():
                finelens.train(
                    data=arguments.data, run=run, progress=Silent(),
                    settings=[*arguments.settings, *WAYS[way], f"seed={seed}"],
                )  # fmt: skip
            metric, figure = headline(run)
            figures[way].append(figure)
            seconds = time.perf_counter() - started
            print(f"{way}, seed {seed}: test {metric} {figure:.4f} ({seconds:.0f} s)", flush=True)
    for way, found in figures.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(f"{way}: mean {statistics.mean(found):.4f}, standard deviation {spread:.4f}")
    apart = [a - b for a, b in zip(figures[FAST], figures[other], strict=True)]
    print(f"{FAST} - {other}, seed by seed: " + ", ".join(f"{one:+.4f}" for one in apart))


def headline(run: Path) -> tuple[str, float]:
    """Return the name and value of a run's main test figure."""
    found = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    return found["main_metric"], found[found["main_metric"]]


if __name__ == "__main__":
    main()
