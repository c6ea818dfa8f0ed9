"""Pascal VOC: the classification lists of ``ImageSets/Main``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from finelens.data.manifest import Manifest, build_manifest
from finelens.data.sources.files import is_picture
from finelens.errors import DataError, did_you_mean
from finelens.progress import Progress

LISTS = Path("ImageSets") / "Main"
"""Where VOC keeps them, inside VOC2007 or VOC2012."""

_CLASS_LIST = re.compile(r"(?P<name>.+)_(train|val|trainval|test)\.txt")
_NO_NAMES = pl.lit([], dtype=pl.List(pl.String))


def read_voc(
    path: Path,
    *,
    task: str = "auto",
    classes: Sequence[str] | None = None,
    label_separator: str = "auto",
    progress: Progress | None = None,
) -> Manifest:
    """Return the pictures that ``ImageSets/Main`` lists, train, val, test, each in its order.

    ``CLASS_SPLIT.txt`` says 1 (present), -1 (absent) or 0 (only difficult objects): by VOC's
    rule a 0 counts neither way and goes to ``ignored``. Pictures of a list without values, as in
    the public VOC2012 test, have no labels. Without ``train.txt``, ``trainval.txt`` is train.

    Args:
        path: VOC2007 or VOC2012, the VOCdevkit folder that holds one of them, or its parent.
        task: See ``build_manifest``; ``auto`` is multi-label here.
        classes: Some of VOC's classes, in the order wanted; None takes all, in VOC's order,
            which is alphabetical.
        label_separator: Has no meaning here.
        progress: Has no meaning here: lists are read at once.

    Raises:
        DataError: If there are no lists, they contradict each other, or pictures are missing.
    """
    del label_separator, progress
    root = find_voc(path)
    if root is None:
        raise DataError(f'folder "{path}" holds no Pascal VOC data: {LISTS.as_posix()} is missing')
    classes = _choose_classes(root, classes)
    found = [_read_split(root, split, listed, classes) for split, listed in _splits(root).items()]
    rows = _locate(pl.concat(found), root)
    return build_manifest(rows, task="multi-label" if task == "auto" else task, classes=classes)


def find_voc(path: Path) -> Path | None:
    """Return the folder that holds ``ImageSets/Main``, at or below a path, or None.

    Raises:
        DataError: If there are several, as VOC2007 beside VOC2012.
    """
    if (path / LISTS).is_dir():
        return path
    for folder in (path, path / "VOCdevkit"):
        years = sorted(lists.parent.parent for lists in folder.glob(f"*/{LISTS.as_posix()}"))
        if len(years) > 1:
            names = ", ".join(f'"{year}"' for year in years)
            raise DataError(f'folder "{path}" holds {names}; give one of them')
        if years:
            return years[0]
    return None


def _choose_classes(root: Path, classes: Sequence[str] | None) -> tuple[str, ...]:
    matches = (_CLASS_LIST.fullmatch(file.name) for file in (root / LISTS).glob("*.txt"))
    known = sorted({match["name"] for match in matches if match})
    if not known:
        raise DataError(f'folder "{root / LISTS}" holds no class lists such as bird_train.txt')
    for name in classes or ():
        if name not in known:
            near = did_you_mean(name, known)
            raise DataError(f'class "{name}" has no list in "{root / LISTS}"{near}')
    return tuple(classes or known)


def _splits(root: Path) -> dict[str, str]:
    """Return for each split the name that its lists have."""
    names = {file.stem for file in (root / LISTS).glob("*.txt")}
    train = "train" if "train" in names or "trainval" not in names else "trainval"
    splits = {"train": train, "val": "val", "test": "test"}
    present = {split: listed for split, listed in splits.items() if listed in names}
    if not present:
        raise DataError(f'folder "{root / LISTS}" has none of train.txt, val.txt, test.txt')
    return present


def _read_split(root: Path, split: str, listed: str, classes: Sequence[str]) -> pl.DataFrame:
    stems = _read_list(root / LISTS / f"{listed}.txt").select("stem").with_row_index("order")
    files = {name: root / LISTS / f"{name}_{listed}.txt" for name in classes}
    absent = [file.name for file in files.values() if not file.is_file()]
    if 0 < len(absent) < len(files):
        raise DataError(f'folder "{root / LISTS}" has no {absent[0]} beside {listed}.txt')
    if absent:
        return _unlabelled(stems, split)
    values = pl.concat([_read_list(file).with_columns(name=pl.lit(n)) for n, file in files.items()])
    _check_values(root / LISTS, listed, stems, values.drop_nulls("value"), len(files))
    lists = (
        values.drop_nulls("value")
        .group_by("stem", maintain_order=True)
        .agg(
            labels=pl.col("name").filter(pl.col("value") == 1),
            ignored=pl.col("name").filter(pl.col("value") == 0),
        )
    )
    rows = stems.join(lists, on="stem", how="left").sort("order")
    return rows.select("stem", "labels", "ignored", split=pl.lit(split))


def _unlabelled(stems: pl.DataFrame, split: str) -> pl.DataFrame:
    unknown = pl.lit(None, dtype=pl.List(pl.String))
    return stems.select("stem", labels=unknown, ignored=unknown, split=pl.lit(split))


def _read_list(file: Path) -> pl.DataFrame:
    try:
        lines = pl.Series("line", file.read_text(encoding="utf-8").splitlines(), dtype=pl.String)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'list "{file}" cannot be read: {error}') from error
    parts = lines.str.extract_groups(r"^\s*(\S+)(?:\s+(\S+))?\s*$").struct.unnest()
    parts.columns = ["stem", "text"]
    parts = parts.drop_nulls("stem")
    rows = parts.with_columns(value=pl.col("text").cast(pl.Int64, strict=False))
    is_value = pl.col("value").is_in([-1, 0, 1]).fill_null(value=False)
    wrong = rows.filter(pl.col("text").is_not_null() & ~is_value)
    if not wrong.is_empty():
        raise DataError(
            f'list "{file}" says "{wrong["text"][0]}" of {wrong["stem"][0]}, not 1, 0 or -1'
        )
    return rows.select("stem", "value")


def _check_values(
    lists: Path, listed: str, stems: pl.DataFrame, values: pl.DataFrame, num_classes: int
) -> None:
    counts = values.group_by("stem", maintain_order=True).len()
    wrong = counts.filter(pl.col("len") != num_classes)
    if not wrong.is_empty():
        raise DataError(
            f"{lists}: picture {wrong['stem'][0]} is in {wrong['len'][0]} of {num_classes} "
            f"class lists of {listed} ({wrong.height} such pictures)"
        )
    strangers = counts.join(stems, on="stem", how="anti", maintain_order="left")
    if not strangers.is_empty():
        raise DataError(f"{lists}: {strangers['stem'][0]} is in class lists, not in {listed}.txt")


def _locate(rows: pl.DataFrame, root: Path) -> pl.DataFrame:
    folder = root / "JPEGImages"
    names = sorted(file.name for file in folder.glob("*") if is_picture(file.name))
    files = pl.DataFrame({"name": names}, schema={"name": pl.String})
    files = files.with_columns(stem=pl.col("name").str.replace(r"\.[^.]*$", ""))
    files = files.unique("stem", keep="first", maintain_order=True)
    located = rows.join(files, on="stem", how="left", maintain_order="left")
    missing = located.filter(pl.col("name").is_null())
    if not missing.is_empty():
        raise DataError(
            f'picture "{missing["stem"][0]}" is listed, and not in "{folder}" '
            f"({missing.height} of {rows.height} missing)"
        )
    base = pl.lit(f"{folder.absolute().as_posix()}/")
    return located.select(
        "labels", "split", ignored=pl.col("ignored").fill_null(_NO_NAMES),
        id=pl.lit("JPEGImages/") + pl.col("name"), path=base + pl.col("name"),
    )  # fmt: skip
