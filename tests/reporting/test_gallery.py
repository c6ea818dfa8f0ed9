import numpy as np
import pytest
from PIL import Image

from finelens.reporting.gallery import Gallery, Shown, by_rank
from finelens.reporting.thumbnail import Strip, thumbnail


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


def shown(path, class_name="dog", span=(None, None)):
    return Shown(path, path, class_name, 0.5, True, span=span)


def test_picture_in_several_lists_is_stored_once(pictures):
    gallery = Gallery()
    first = gallery.add([shown(pictures[0]), shown(pictures[1])], budget_bytes=10**6)
    second = gallery.add([shown(pictures[1], "cat"), shown(pictures[0], "cat")], budget_bytes=0)
    assert len(gallery.content()) == 2
    assert [row["picture"] for row in first + second] == [0, 1, 1, 0]


def test_clips_cut_from_one_file_are_each_shown_by_their_own_frames(tmp_path):
    path = tmp_path / "long.gif"
    first, *others = [Image.new("L", (40, 30), grey) for grey in range(0, 250, 10)]
    first.save(path, save_all=True, append_images=others, duration=100)
    spans = [(0.0, 1.0), (1.5, 2.5), (0.0, 1.0)]
    gallery = Gallery(Strip(2))
    rows = gallery.add([shown(str(path), span=span) for span in spans], budget_bytes=10**6)
    assert [row["picture"] for row in rows] == [0, 1, 0]
    assert gallery.content() == [
        thumbnail(str(path), span, strip=Strip(2)) for span in spans[:2]
    ]  # fmt: skip
    assert len(set(gallery.content())) == 2


def test_spent_budget_ends_the_list_where_it_stands(pictures):
    size = max(len(thumbnail(path)) for path in pictures)
    gallery = Gallery()
    rows = gallery.add([shown(path) for path in pictures], budget_bytes=3 * size)
    assert 3 <= len(rows) < len(pictures)
    assert sum(map(len, gallery.content())) <= 3 * size


def test_by_rank_takes_from_every_list_in_turn():
    lists = [[shown("a0"), shown("a1"), shown("a2")], [shown("b0")], []]
    assert [one.path for one in by_rank(lists)] == ["a0", "b0", "a1", "a2"]
