import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from finelens.data.demo.clip_writing import holds_demo_clips, write_demo_clips
from finelens.data.demo.supply import supply_clips, supply_pictures
from finelens.data.demo.writing import write_demo
from finelens.errors import DataError
from finelens.progress import Silent


class Stopped(Silent):
    """Progress that ends work as Ctrl-C does, at the first items done."""

    def __init__(self):
        self.said = []

    @contextmanager
    def stage(self, title, total):
        del title, total

        def stop(*_):
            raise KeyboardInterrupt

        yield stop

    def say(self, line):
        self.said.append(line)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "demo-clips"
    write_demo_clips(folder, num_clips=9)
    return folder


@pytest.fixture
def folder(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "demo-clips")


def content(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_whole_clips_are_used_again_however_many(folder):
    before, progress = content(folder), Stopped()
    supply_clips(folder, progress)
    assert content(folder) == before
    assert progress.said == []


def test_pictures_are_used_again(tmp_path):
    write_demo(tmp_path, num_examples=2)
    before, progress = content(tmp_path / "pictures"), Stopped()
    supply_pictures(tmp_path, progress)
    assert content(tmp_path / "pictures") == before
    assert progress.said == []


def test_drawing_that_was_stopped_begins_again(tmp_path):
    progress = Stopped()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            supply_clips(tmp_path / "clips", progress)
        assert not holds_demo_clips(tmp_path / "clips")
    assert progress.said == [f"drawing clips into {tmp_path / 'clips'}, 660 MB"] * 2


def cut_array(folder):
    with (folder / "clips.npy").open("r+b") as file:
        file.truncate(100_000)


def other_array(folder):
    np.save(folder / "clips.npy", np.zeros((9, 8, 64, 64, 3), dtype=np.uint8))


def cut_table(folder):
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(lines[:-1]))


def other_labels(folder):
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("still", "standing"))


def no_array(folder):
    (folder / "clips.npy").unlink()


@pytest.mark.parametrize("spoil", [cut_array, other_array, cut_table, other_labels, no_array])
def test_what_is_no_whole_set_of_demo_clips_is_named_and_left_alone(folder, spoil):
    spoil(folder)
    before = content(folder)
    with pytest.raises(DataError, match=r'holds "labels.csv" and no whole set .* move the folder'):
        supply_clips(folder, Silent())
    assert content(folder) == before
