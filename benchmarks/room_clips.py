"""Networks for clips on real ones, in folds that no recording divides: one table of accuracy.

Clips of one recording (``group``) look alike, so every group is test in exactly one fold; the
clips that choose the weights of a fold, its val, are groups too. Each setting is trained on each
fold by ``finelens train``, with everything at a size that one processor core manages in minutes:

    python benchmarks/room_clips.py DATA --weights mobilenetv2_100.imagenet.safetensors \
        --out runs/room_clips [--settings c3d mobilenet-mean ...] [--folds 0 1 2 3 4]

DATA holds ``index.csv`` with the columns path, label and group, and the clips. Runs that are
complete are not done again, and those cut off go on; ``--settings`` and ``--folds`` without their
values train nothing, and the table shows what is there. The interval of a setting's accuracy over
all folds is a bootstrap of whole groups: clips of one recording are no independent evidence.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from finelens.runs.directory import RunDirectory

NUM_FOLDS = 5
_NUM_VAL_PARTS = 6
_NUM_RESAMPLES = 4000


@dataclass(frozen=True)
class Setting:
    """What ``finelens train`` is told: a packaged recipe and what is set over it."""

    recipe: str
    settings: tuple[str, ...]


# full length, size and width would take hours
_SHORT = ("input.frames=16", "phases.0.epochs=40", "phases.0.schedule.warmup_epochs=2")
_NARROW = ("input.size=32", "model.options.width=16", "optimizer.lr=1e-3")
_MOBILENET = (
    "model.backbone=mobilenetv2_100", "model.options.pad_type=same",
    "input.mean=[0.5,0.5,0.5]", "input.std=[0.5,0.5,0.5]",
    "input.resize=squash", "input.crop_fraction=1.0", "input.size=96", "input.frames=8",
    "train.ema_decay=0.98",
    "phases=[{epochs: 7, augment: [{flip: {}}], freeze_statistics: true, "
    "schedule: {name: cosine, warmup_epochs: 0.5}}]",
)  # fmt: skip
# weights over time cannot come from a probe: they are new, and need a higher rate than the others
_NEW = ("model.probe=false", "optimizer.lr=2e-3", "optimizer.backbone_lr=4e-4")


def mobilenet(pooling: str, *settings: str) -> Setting:
    """Return MobileNetV2 on every frame, its features pooled over time."""
    return Setting("finetune-clips", (*_MOBILENET, f"model.pooling={pooling}", *settings))


SETTINGS = {
    "c3d": Setting("ucf11-c3d", (*_SHORT, *_NARROW)),
    "vgg9": Setting("ucf11-vgg9", (*_SHORT, *_NARROW)),
    "cnn-lstm": Setting("ucf11-cnn-lstm", _SHORT),
    "mobilenet-mean": mobilenet("mean"),
    "mobilenet-max": mobilenet("max"),
    "mobilenet-linear": mobilenet("linear"),
    "mobilenet-lstm": mobilenet("lstm", *_NEW),
    "mobilenet-attention": mobilenet("attention", *_NEW),
}


def fold_tables(data: Path, folder: Path) -> list[Path]:
    """Return a table for each fold, written where it is not there: path, labels, group, split."""
    index = pl.read_csv(data / "index.csv")
    labels_N, groups_N = index["label"].to_numpy(), index["group"].to_numpy()
    folder.mkdir(parents=True, exist_ok=True)
    tables = []
    for number, (rest_M, test) in enumerate(_parts(labels_N, groups_N, NUM_FOLDS)):
        # any part of those left is as good: the first
        _, val = next(_parts(labels_N[rest_M], groups_N[rest_M], _NUM_VAL_PARTS))
        split_N = np.full(len(labels_N), "train", dtype=object)
        split_N[test], split_N[rest_M[val]] = "test", "val"
        table = index.select(
            path=pl.lit(f"{data.resolve()}/") + pl.col("path"), labels="label", group="group"
        ).with_columns(split=pl.Series(split_N.tolist()))
        tables.append(folder / f"fold-{number}.csv")
        if not tables[-1].exists():
            table.write_csv(tables[-1])
    return tables


def _parts(
    labels_N: NDArray[np.str_], groups_N: NDArray[np.int64], num_parts: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    folds = StratifiedGroupKFold(num_parts)
    return folds.split(np.zeros(len(labels_N)), labels_N, groups_N)


def train(setting: Setting, table: Path, run: RunDirectory, more: Sequence[str]) -> None:
    """Train a setting on a fold, or go on where it was cut off; nothing where it is complete."""
    if run.is_complete:
        return
    finelens = Path(sys.executable).with_name("finelens")
    if run.recipe.exists():
        command = [finelens, "train", "--resume", run.root]
    else:
        command = [finelens, "train", setting.recipe, "--data", table, "--run", run.root]
        for text in (*setting.settings, *more):
            command += ["--set", text]
    print("$", *command, flush=True)
    subprocess.run(command, check=True)


def is_right(run: RunDirectory) -> pl.DataFrame:
    """Return a run's test clips: their ``group``, and whether the likeliest class ``right``."""
    manifest = pl.read_parquet(run.manifest).select("id", "group")
    scores = pl.read_parquet(run.evaluation("test") / "scores.parquet")
    said_N, true_N = (
        scores[name].to_numpy().argmax(axis=1) for name in ("probabilities", "targets")
    )
    rows = scores.select("id", right=pl.Series(said_N == true_N))
    return rows.join(manifest, on="id", how="left")


def group_interval(clips: pl.DataFrame, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of accuracy over resamples of whole groups."""
    groups = clips.group_by("group", maintain_order=True).agg(
        num=pl.len().cast(pl.Float64), right=pl.col("right").sum().cast(pl.Float64)
    )
    num_G, right_G = groups["num"].to_numpy(), groups["right"].to_numpy()
    drawn_RG = np.random.default_rng(seed).integers(len(num_G), size=(_NUM_RESAMPLES, len(num_G)))
    values_R = right_G[drawn_RG].sum(axis=1) / num_G[drawn_RG].sum(axis=1)
    low, high = np.quantile(values_R, [0.025, 0.975])
    return float(low), float(high)


def table_row(name: str, runs: Sequence[RunDirectory]) -> str:
    """Return a setting's line: accuracy of each fold, their mean, and over all clips."""
    found = [is_right(run) if run.is_complete else None for run in runs]
    cells = ["" if clips is None else f"{clips['right'].mean():.3f}" for clips in found]
    complete = [clips for clips in found if clips is not None]
    if not complete:
        return f"| {name} | " + " | ".join([*cells, "", ""]) + " |"
    mean = np.mean([clips["right"].mean() for clips in complete])
    pooled = pl.concat(complete)
    low, high = group_interval(pooled)
    over_all = f"{pooled['right'].mean():.3f} [{low:.3f}, {high:.3f}]"
    return f"| {name} | " + " | ".join([*cells, f"{mean:.3f}", over_all]) + " |"


def print_table(folder: Path, tables: Sequence[Path]) -> None:
    """Print the accuracy of every setting, and of saying the commonest training class."""
    names = [f"fold {number}" for number in range(len(tables))]
    print("\n| setting | " + " | ".join([*names, "mean", "all clips"]) + " |")
    print("|---" * (len(names) + 3) + "|")
    shares = []
    for path in tables:
        table = pl.read_csv(path)
        of_split = {str(split): part for (split,), part in table.group_by("split")}
        commonest = of_split["train"]["labels"].mode()[0]
        shares.append((of_split["test"]["labels"] == commonest).mean())
    cells = [f"{share:.3f}" for share in (*shares, np.mean(shares))]
    print("| commonest class | " + " | ".join([*cells, ""]) + " |")
    for name in SETTINGS:
        runs = [RunDirectory(folder / f"{name}-{number}") for number in range(len(tables))]
        if any(run.is_complete for run in runs):
            print(table_row(name, runs))


def compare(folder: Path, fold: int) -> None:
    """Hold the runs of a fold against each other by ``finelens compare``."""
    runs = [RunDirectory(folder / f"{name}-{fold}") for name in SETTINGS]
    complete = [run.root for run in runs if run.is_complete]
    if len(complete) > 1:
        finelens = Path(sys.executable).with_name("finelens")
        place = folder / f"comparison-{fold}"
        subprocess.run([finelens, "compare", *complete, "--out", place], check=True)


def main() -> None:
    """Train what is asked for, print the table, compare a fold's runs."""
    parser = argparse.ArgumentParser(description="Networks for clips on real ones, in folds")
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="of mobilenetv2_100")
    parser.add_argument("--out", type=Path, default=Path("runs/room_clips"))
    parser.add_argument("--settings", nargs="*", choices=[*SETTINGS], default=[*SETTINGS])
    parser.add_argument("--folds", nargs="*", type=int, default=[*range(NUM_FOLDS)])
    parser.add_argument("--compared-fold", type=int, default=0)
    arguments = parser.parse_args()
    tables = fold_tables(arguments.data, arguments.out / "folds")
    for number in arguments.folds:
        for name in arguments.settings:
            setting = SETTINGS[name]
            is_transfer = setting.recipe == "finetune-clips"
            more = [f"model.weights={arguments.weights.resolve()}"] if is_transfer else []
            run = RunDirectory(arguments.out / f"{name}-{number}")
            train(setting, tables[number], run, more)
    print_table(arguments.out, tables)
    compare(arguments.out, arguments.compared_fold)


if __name__ == "__main__":
    main()
