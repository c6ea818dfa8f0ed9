from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from suite.quality import of_scores
from suite.row import Bench

NAMES = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")
SCORES_NK = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for split in ("train", "test"):
        for name in NAMES:
            file = tmp_path / "plants" / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(file)
    data = {"plants": tmp_path / "plants"}
    return Bench(data, tmp_path, Path("python"), Path("python"), is_smoke=False)


def write(bench: Bench, rows: list[int]) -> Path:
    out = bench.work / "job-1"
    paths = [str(bench.data["plants"] / "test" / NAMES[row]) for row in rows]
    np.savez(out.with_suffix(".npz"), paths=paths, scores_NK=SCORES_NK[rows])
    return out


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_scores_are_judged_by_path_in_whatever_order(bench: Bench, rows: list[int]) -> None:
    assert of_scores(bench, "plants", "accuracy", write(bench, rows)) == 3 / 4


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 1, 2, 3, 3]])
def test_scores_of_other_pictures_are_refused(bench: Bench, rows: list[int]) -> None:
    with pytest.raises(SystemExit, match="other pictures"):
        of_scores(bench, "plants", "accuracy", write(bench, rows))
