"""Tiny data in the true on-disk formats, and settings that train in a second."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    "input.size=32",
    "train.batch_size=8",
    "train.num_workers=0",
)
"""Settings over ``finetune``: a small network on small pictures."""


def draw(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """Return a noisy picture of one colour, 40 x 36 pixels."""
    noise = np.random.default_rng(seed).normal(0, 12, (36, 40, 3))
    return Image.fromarray(np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def folder_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three class folders with 20 JPEG pictures each, told by colour."""
    root = tmp_path_factory.mktemp("data") / "pictures"
    colours = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 40, 40)}
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for n in range(20):
            draw(colour, n).save(root / name / f"{n:02d}.jpg", quality=90)
    return root


@pytest.fixture(scope="session")
def table_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV table of 48 multi-label pictures: left half and right half have a colour."""
    root = tmp_path_factory.mktemp("table")
    colours = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (200, 40, 40)}
    rows = ["path,labels,split"]
    names = list(colours)
    for n in range(48):
        left, right = names[n % 3], names[(n // 3) % 3]
        picture = draw(colours[left], n)
        picture.paste(draw(colours[right], n + 100).crop((0, 0, 20, 36)), (20, 0))
        picture.save(root / f"{n:02d}.png")
        labels = "|".join(sorted({left, right}))
        split = ("train", "train", "val", "test")[n // 12]
        rows.append(f"{n:02d}.png,{labels},{split}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root / "labels.csv"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, table_data: Path) -> Path:
    """Return a complete multi-label run; do not change it."""
    import finelens

    run = tmp_path_factory.mktemp("runs") / "trained"
    return finelens.train("finetune", table_data, settings=[*TINY, *EPOCHS], run=run)


EPOCHS = ("phases.0.epochs=1", "phases.1.epochs=1")
"""Settings over ``finetune``: two epochs."""


@pytest.fixture
def tiny_settings() -> Callable[..., list[str]]:
    """Return a function from more settings to all that make ``finetune`` tiny."""
    return lambda *more: [*TINY, *EPOCHS, *more]
