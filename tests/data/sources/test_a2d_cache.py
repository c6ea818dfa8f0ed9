import hashlib
import json
import os
from contextlib import contextmanager

import numpy as np
import pytest

from finelens.data.sources.a2d_cache import label_values
from finelens.errors import DataError
from finelens.progress import Silent

FRAMES = ["a/00001", "a/00002", "b/00001"]
VALUES = {"a/00001": [0, 11], "a/00002": [0], "b/00001": [14, 79, 99]}


class Watcher(Silent):
    """Keeps the titles and totals of stages, and how far they came."""

    def __init__(self):
        self.stages = []

    @contextmanager
    def stage(self, title, total):
        done = []
        yield lambda num_items, _note: done.append(num_items)
        self.stages.append((title, total, sum(done)))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return the folder of caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "finelens"


@pytest.fixture
def root(tmp_path, write_annotation):
    for frame, values in VALUES.items():
        mask_HW = np.resize(np.array(values, dtype=np.uint8), (6, 8))
        write_annotation(tmp_path / f"Annotations/mat/{frame}.mat", mask_HW)
    return tmp_path


def num_read(root, frames=FRAMES, expected=VALUES):
    """Return how many masks were read for the expected values."""
    watcher = Watcher()
    assert label_values(root, frames, watcher) == {frame: expected[frame] for frame in frames}
    assert all(total == done for _, total, done in watcher.stages)
    return sum(total for _, total, _ in watcher.stages)


def test_masks_are_read_once_with_progress(root):
    watcher = Watcher()
    assert label_values(root, FRAMES, watcher) == VALUES
    assert watcher.stages == [("reading annotations", 3, 3)]
    assert num_read(root) == 0


def test_several_processes_read_the_same(root):
    assert label_values(root, FRAMES, num_workers=2) == VALUES


def test_the_cache_holds_size_time_and_values_of_each_mask_and_a_checksum(root, cache):
    label_values(root, FRAMES)
    (file,) = cache.iterdir()
    digest = hashlib.sha256(root.absolute().as_posix().encode()).hexdigest()
    assert digest.startswith(file.stem.removeprefix("a2d-"))
    content = json.loads(file.read_text())
    status = (root / "Annotations/mat/a/00001.mat").stat()
    assert content["masks"]["a/00001"] == {
        "size": status.st_size, "mtime_ns": status.st_mtime_ns, "values": [0, 11],
    }  # fmt: skip
    text = json.dumps(content["masks"], sort_keys=True)
    assert content["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_only_changed_masks_are_read_again(root, write_annotation):
    label_values(root, FRAMES)
    path = root / "Annotations/mat/b/00001.mat"
    write_annotation(path, np.full((9, 9), 21, dtype=np.uint8))
    expected = VALUES | {"b/00001": [21]}
    assert num_read(root, expected=expected) == 1
    os.utime(path, ns=(0, 0))
    assert num_read(root, expected=expected) == 1
    assert num_read(root, expected=expected) == 0


def test_new_masks_join_those_that_are_known(root):
    assert num_read(root, FRAMES[:1]) == 1
    assert num_read(root, FRAMES[1:]) == 2
    assert num_read(root) == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("[0, 11]", "[0, 12]"),
        lambda text: text[:-20],
        lambda text: text.replace('"version": 1', '"version": 0'),
        lambda _text: "[]",
        lambda _text: "",
        lambda _text: '{"version": 1}',
    ],
)
def test_a_damaged_or_foreign_cache_is_written_anew(root, cache, spoil):
    label_values(root, FRAMES)
    (file,) = cache.iterdir()
    written = file.read_text()
    assert spoil(written) != written
    file.write_text(spoil(written))
    assert num_read(root) == 3
    assert file.read_text() == written
    assert num_read(root) == 0


def test_without_a_place_for_the_cache_all_masks_are_read(root, cache):
    cache.parent.write_text("a file where the folder should be")
    assert num_read(root) == 3
    assert num_read(root) == 3


def test_nothing_is_left_beside_the_cache(root, cache):
    label_values(root, FRAMES)
    assert [file.suffix for file in cache.iterdir()] == [".json"]


def test_roots_have_caches_of_their_own(root, cache, tmp_path):
    label_values(root, FRAMES)
    (root / "Annotations").rename(tmp_path / "moved")
    (tmp_path / "other").mkdir()
    (tmp_path / "moved").rename(tmp_path / "other" / "Annotations")
    assert num_read(tmp_path / "other") == 3
    assert len(list(cache.iterdir())) == 2


def test_an_unreadable_mask_leaves_no_cache(root, cache):
    (root / "Annotations/mat/a/00002.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(DataError, match=r"a/00002\.mat"):
        label_values(root, FRAMES)
    assert not cache.exists()
