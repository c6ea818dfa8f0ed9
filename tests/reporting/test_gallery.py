import base64
import io

import numpy as np
import pytest
from PIL import Image

from finelens.reporting.gallery import THUMBNAIL_SIZE_PX, Gallery, Shown, by_rank, thumbnail


@pytest.fixture
def pictures(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for n in range(6):
        path = tmp_path / f"{n}.png"
        pixels = generator.integers(0, 255, (60, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return paths


def shown(path, class_name="dog"):
    return Shown(path, path, class_name, 0.5, True)


def test_thumbnail_is_a_small_square_jpeg_of_the_middle(tmp_path):
    wide = np.zeros((100, 300, 3), dtype=np.uint8)
    wide[:, 100:200] = (200, 0, 0)
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    encoded = thumbnail(str(path)).removeprefix("data:image/jpeg;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert image.size == (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    assert np.abs(np.asarray(image).mean(axis=(0, 1)) - (200, 0, 0)).max() < 6


def test_thumbnail_of_no_picture_is_none(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    assert thumbnail(str(tmp_path / "text.jpg")) is None
    assert thumbnail(str(tmp_path / "gone.jpg")) is None


def test_picture_in_several_lists_is_stored_once(pictures):
    gallery = Gallery()
    first = gallery.add([shown(pictures[0]), shown(pictures[1])], budget_bytes=10**6)
    second = gallery.add([shown(pictures[1], "cat"), shown(pictures[0], "cat")], budget_bytes=0)
    assert len(gallery.content()) == 2
    assert [row["picture"] for row in first + second] == [0, 1, 1, 0]


def test_spent_budget_ends_the_list_where_it_stands(pictures):
    size = max(len(thumbnail(path)) for path in pictures)
    gallery = Gallery()
    rows = gallery.add([shown(path) for path in pictures], budget_bytes=3 * size)
    assert 3 <= len(rows) < len(pictures)
    assert sum(map(len, gallery.content())) <= 3 * size


def test_by_rank_takes_from_every_list_in_turn():
    lists = [[shown("a0"), shown("a1"), shown("a2")], [shown("b0")], []]
    assert [one.path for one in by_rank(lists)] == ["a0", "b0", "a1", "a2"]
