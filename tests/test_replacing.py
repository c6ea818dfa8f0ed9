import os
import stat

import pytest

from finelens.replacing import replacing


def test_a_file_is_replaced_when_the_block_has_ended(tmp_path):
    path = tmp_path / "figures.png"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_there", [True, False])
def test_an_error_leaves_what_was_there_and_no_temporary_file(tmp_path, is_there):
    path = tmp_path / "figures"
    if is_there:
        path.write_text("old")
    with pytest.raises(ValueError, match="halfway"), replacing(path) as temporary:
        temporary.write_text("ne")
        raise ValueError("halfway")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"] * is_there


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "figures.csv"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_a_file_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "figures.csv"
    path.mkdir()
    with pytest.raises(OSError, match=r"figures\.csv"), replacing(path) as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "figures.csv"
    synced = []
    flush = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: (flush(number), synced.append((os.fstat(number), path.exists()))),
    )
    with replacing(path) as temporary:
        temporary.write_text("new")
    [(status, was_there)] = synced
    assert stat.S_ISREG(status.st_mode)
    assert (status.st_ino, was_there) == (path.stat().st_ino, False)
