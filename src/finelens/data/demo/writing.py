"""Writing the demo's data: scenes as JPEG files with a table of their labels."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from finelens.data.demo.scene import draw_scene
from finelens.errors import DataError

PICTURES = "pictures"
SPLIT_CYCLE = ("train", "train", "train", "val", "train", "train", "train", "test")
"""The split of scene n is entry n modulo 8: it does not depend on how many there are."""


def write_demo(folder: Path, *, num_examples: int = 3200, seed: int = 0) -> Path:
    """Return the table ``manifest.csv`` of a new data set of small synthetic scenes.

    The folder gets ``pictures/00000.jpg`` and so on, near 112 x 96 pixels, and the table with the
    columns ``path``, ``labels`` (several joined by ``|``, empty for none) and ``split`` (3/4 train,
    1/8 val, 1/8 test). The twelve labels are pairs of an actor and an action, such as
    ``bird-flying``. Picture n depends on (seed, n) alone, whatever ``num_examples`` is.

    Pictures of an earlier call that was cut short are drawn again.

    Raises:
        DataError: If the folder holds anything else, or cannot be written.
    """
    folder = Path(folder)
    table, unfinished = folder / "manifest.csv", folder / PICTURES / "manifest.csv.part"
    try:
        if folder.exists() and any(item.name != PICTURES for item in folder.iterdir()):
            raise DataError(f"demo data: {folder} holds other files; name a new folder")
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        # Pillow and numpy let go of the interpreter for half of the work
        with ThreadPoolExecutor() as pool:
            rows = list(pool.map(partial(_write_scene, folder, seed), range(num_examples)))
        # the table comes last and whole: where it is, all pictures are
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "labels", "split"), *rows])
        unfinished.replace(table)
    except OSError as error:
        raise DataError(f"demo data: {folder} cannot be written: {error}") from error
    return table


def _write_scene(folder: Path, seed: int, index: int) -> tuple[str, str, str]:
    scene = draw_scene(seed, index)
    name = f"{PICTURES}/{index:05d}.jpg"
    Image.fromarray(scene.image).save(folder / name, quality=85 + index % 11)
    return name, "|".join(scene.labels), SPLIT_CYCLE[index % len(SPLIT_CYCLE)]
