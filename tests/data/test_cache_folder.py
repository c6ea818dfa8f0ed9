from pathlib import Path

import pytest

from finelens.data.cache_folder import cache_folder


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "finelens"


@pytest.mark.parametrize("given", ["", "relative/folder", None])
def test_without_a_whole_path_it_lies_in_the_home_folder(monkeypatch, given):
    monkeypatch.setenv("XDG_CACHE_HOME", given or "")
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/finelens"
