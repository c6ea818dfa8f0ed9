import os

import polars as pl
import pytest

from finelens.data.sources.files import check_files_exist, is_picture, list_pictures
from finelens.errors import DataError


def test_pictures_are_told_by_extension_and_hidden_ones_are_not_counted():
    assert is_picture("a.TIF")
    assert not is_picture("a.svg")
    assert not is_picture(".a.jpg")
    assert not is_picture("jpg")


def test_listing_is_sorted_by_code_points(tmp_path):
    for name in ("b.jpg", "B.jpg", "ä.jpg", "a b.jpg", "a-b.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert list_pictures(tmp_path) == ["B.jpg", "a b.jpg", "a-b.jpg", "b.jpg", "ä.jpg"]


def test_name_that_is_not_unicode_is_refused_as_a_picture_and_harmless_beside_others(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    try:
        (tmp_path / os.fsdecode(b"b\xff.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system has no such names")
    check_files_exist(pl.Series([f"{tmp_path}/a.jpg"]), where="table")
    with pytest.raises(DataError, match="not valid UTF-8"):
        list_pictures(tmp_path)


def test_files_are_found_through_links_and_parent_folders(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a.jpg").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    names = ["link/a.jpg", "link/../store/a.jpg"]
    check_files_exist(pl.Series([f"{tmp_path}/{name}" for name in names]), where="table")
