import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.audit import audit
from finelens.data.manifest import build_manifest
from finelens.data.problems import problem_table
from finelens.data.sources.folder import read_folder
from finelens.data.sources.table import read_table
from finelens.data.verify import verify


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 96), Image.Resampling.BICUBIC)


def problems_of(manifest):
    return problem_table(audit(manifest, verify(manifest)))


@pytest.fixture
def problems(tmp_path):
    """Return the problems of eight pictures, their paths below the folder."""
    rows = [
        ("a.png", 0, ["cat", "dog"], "train", "g1"),
        ("b.png", 0, ["dog"], "train", "g2"),
        ("c.png", 0, ["dog", "cat"], "test", None),
        ("d.png", 0, None, None, None),
        ("e.jpg", 1, ["cat"], "val", None),
        ("f.png", 1, ["cat"], "test", None),
        ("g.png", 2, ["dog"], "val", "g2"),
        ("h.png", None, ["dog"], "train", None),
    ]
    for name, seed, *_ in rows:
        if seed is None:
            (tmp_path / name).write_bytes(b"no picture")
        elif name.endswith(".jpg"):
            picture(seed).save(tmp_path / name, quality=90)
        else:
            picture(seed).save(tmp_path / name)
    table = pl.DataFrame(
        [(name, str(tmp_path / name), *more) for name, _, *more in rows],
        schema={"id": pl.String, "path": pl.String, "labels": pl.List(pl.String),
                "split": pl.String, "group": pl.String},
        orient="row",
    )  # fmt: skip
    found = problems_of(build_manifest(table, task="multi-label"))
    root = f"{tmp_path}/"
    return found.with_columns(pl.col("path", "other").str.strip_prefix(root))


def rows_of(problems, problem):
    return problems.filter(pl.col("problem") == problem).drop("problem").rows()


def test_every_file_is_held_against_the_first_of_its_set(problems):
    assert rows_of(problems, "duplicate") == [
        (name, "the same file", "a.png") for name in ("b.png", "c.png", "d.png")
    ]
    assert rows_of(problems, "near-duplicate") == [("f.png", "looks alike", "e.jpg")]


def test_leaks_name_both_splits(problems):
    assert rows_of(problems, "leak") == [
        ("c.png", "test, the other train", "a.png"),
        ("f.png", "test, the other val", "e.jpg"),
    ]
    assert rows_of(problems, "group leak") == [
        ("b.png", "group g2 is in train and val", None),
        ("g.png", "group g2 is in train and val", None),
    ]


def test_other_labels_are_told_whatever_their_order(problems):
    assert rows_of(problems, "other labels") == [("b.png", "dog, the other cat, dog", "a.png")]


def test_unreadable_files_come_with_the_reason(problems):
    (row,) = rows_of(problems, "unreadable")
    assert row[0] == "h.png"
    assert "not a picture" in row[1]
    assert set(problems["problem"]) == {
        "unreadable", "duplicate", "near-duplicate", "leak", "group leak", "other labels"
    }  # fmt: skip


def test_parts_of_a_video_are_told_apart_and_cut_off_ones_named(tmp_path, write_video):
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), dtype=np.uint8)
    for name, frames in (("one.avi", noise), ("two.avi", noise[::-1])):
        write_video(tmp_path / name, frames, rate=10)
    whole = (tmp_path / "two.avi").read_bytes()
    (tmp_path / "two.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "table.csv").write_text(
        "path,label,start_s,end_s\none.avi,a,0,1\none.avi,b,0,0.99\ntwo.avi,a,,\n"
    )
    found = problems_of(read_table(tmp_path / "table.csv"))
    (torn,) = rows_of(found, "not whole")
    assert torn[0] == f"{tmp_path}/two.avi"
    ((path, detail, other),) = rows_of(found, "duplicate")
    assert {path, other} == {f"{tmp_path}/one.avi#0.0-1.0", f"{tmp_path}/one.avi#0.0-0.99"}
    assert detail == "the same frames"


def test_clean_data_have_an_empty_table(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture(ord(name)).save(tmp_path / name / "1.png")
    assert problems_of(read_folder(tmp_path)).shape == (0, 4)
