"""The inputs: folders and tables made of the data sets, of links, so that nothing is copied."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from itertools import cycle, islice
from pathlib import Path

from suite.row import Bench

NUM_ROWS = 1_000_000
_A_FOLDER = 1000
_VAL_PICTURES = 32


def mark(source: Path) -> str:
    """Return what tells a data set's place from another, without naming it: 8 characters."""
    return hashlib.sha256(source.resolve().as_posix().encode()).hexdigest()[:8]


def photographs(bench: Bench, num_pictures: int) -> Path:
    """Return a folder of so many pictures: links to the photographs, again and again."""
    folder = bench.work / f"photographs-{num_pictures}-{mark(bench.data['photos'])}"
    if not folder.exists():
        with _new(folder) as staging:
            _link(bench, staging, num_pictures, "all")
    return folder


def photograph_classes(bench: Bench, num_pictures: int) -> Path:
    """Return class folders of so many training pictures, and a few for validation."""
    folder = bench.work / f"classes-{num_pictures}-{mark(bench.data['photos'])}"
    if not folder.exists():
        with _new(folder) as staging:
            for name in ("a", "b"):
                _link(bench, staging / "train" / name, num_pictures // 2, "train")
                _link(bench, staging / "val" / name, _VAL_PICTURES // 2, "val")
    return folder


def plants(bench: Bench) -> Path:
    """Return the plants' class folders; for a smoke run, of a few pictures."""
    return bench.data["plants"] if not bench.is_smoke else _few_of_folders(bench)


def voc(bench: Bench) -> Path:
    """Return the VOC data; for a smoke run, a table of a few of its pictures."""
    return bench.data["voc"] if not bench.is_smoke else tables(bench, "voc")[0]


def tables(bench: Bench, name: str) -> tuple[Path, Path]:
    """Return a table of a data set's pictures (path, split, labels), and its classes as JSON."""
    from finelens.data.sources.read import read_source

    table, classes = bench.work / f"{name}.csv", bench.work / f"{name}-classes.json"
    manifest = read_source(plants(bench) if name == "plants" else bench.data[name])
    rows = manifest.table.select("path", "split", "labels")
    if bench.is_smoke and name == "voc":
        rows = rows.group_by("split", maintain_order=True).head(96)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows.columns)
        writer.writerows((path, split, "|".join(found)) for path, split, found in rows.iter_rows())
    classes.write_text(json.dumps(manifest.task.classes))
    return table, classes


def million_rows(bench: Bench) -> Path:
    """Return a table of a million pictures, all there.

    They are a thousand empty files in one folder, under a thousand names of that folder.
    """
    num_folders = 20 if bench.is_smoke else NUM_ROWS // _A_FOLDER
    folder = bench.work / f"rows-{num_folders * _A_FOLDER}"
    if not folder.exists():
        with _new(folder) as staging:
            files = staging / "files"
            files.mkdir()
            for number in range(_A_FOLDER):
                (files / f"{number:06d}.jpg").touch()
            with (staging / "manifest.csv").open("w") as table:
                table.write("path,labels\n")
                for number in range(num_folders):
                    name = f"folder-{number:04d}"
                    (staging / name).symlink_to("files")
                    table.writelines(
                        f"{name}/{n:06d}.jpg,class-{(number + n * n) % 20:02d}\n"
                        for n in range(_A_FOLDER)
                    )
    return folder / "manifest.csv"


def _few_of_folders(bench: Bench) -> Path:
    folder = bench.work / f"few-plants-{mark(bench.data['plants'])}"
    if not folder.exists():
        with _new(folder) as staging:
            for split in ("train", "validation", "test"):
                for source in sorted((bench.data["plants"] / split).iterdir()):
                    target = staging / split / source.name
                    target.mkdir(parents=True)
                    for file in sorted(source.iterdir())[:8]:
                        (target / file.name).symlink_to(file.resolve())
    return folder


def _link(bench: Bench, folder: Path, num_pictures: int, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(file.resolve() for file in bench.data["photos"].rglob("*.jpg"))
    if not files:
        raise SystemExit(f"{bench.data['photos']} holds no .jpg files")
    for number, file in enumerate(islice(cycle(files), num_pictures)):
        (folder / f"{name}-{number:06d}.jpg").symlink_to(file)


class _new:  # noqa: N801  # used as a function
    """A folder that appears whole, when the block that fills it is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging = folder.with_name(f".{folder.name}.new")

    def __enter__(self) -> Path:
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        return self._staging

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._staging.rename(self._folder)
