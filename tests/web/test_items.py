import re

import pytest

from finelens.errors import DataError
from finelens.models.folder import load_model
from finelens.runs.directory import RunDirectory
from finelens.web.items import Items
from finelens.web.schemas import ITEM_ID


@pytest.fixture
def items(trained):
    def opened(secret):
        task = load_model(trained / "model").task
        return Items(RunDirectory(trained), task, is_clips=False, secret=secret)

    return opened


def test_an_id_leads_to_its_own_file_and_tells_nothing_of_it(items):
    opened = items(b"k" * 32)
    scores = opened.scores("val")
    found = [opened.id_of("val", row) for row in range(scores.num_examples)]
    assert len(set(found)) == scores.num_examples
    for item, path in zip(found, scores.paths, strict=True):
        assert re.fullmatch(ITEM_ID, item)
        assert opened.place(item).path == path
        assert opened.place(item).span == (None, None)
        assert not opened.place(item).is_clip


def test_ids_differ_by_secret_and_by_split(items):
    one, other = items(b"a" * 32), items(b"b" * 32)
    assert one.id_of("val", 0) == items(b"a" * 32).id_of("val", 0)
    assert one.id_of("val", 0) != other.id_of("val", 0)
    assert one.id_of("val", 0) != one.id_of("test", 0)
    assert one.place(other.id_of("val", 0)) is None
    assert one.place("../../etc/passwd") is None


def test_the_split_is_the_one_named_or_the_first(items):
    opened = items(b"k" * 32)
    assert opened.split(None) == "test"
    assert opened.split("val") == "val"
    with pytest.raises(DataError, match='split "vla" has not been evaluated; did you mean "val"'):
        opened.split("vla")
