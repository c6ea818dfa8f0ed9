import dataclasses
import re
import shutil

import pytest

from finelens.errors import DataError
from finelens.evaluation.scores import write_scores
from finelens.models.folder import load_model, read_decision
from finelens.runs.directory import RunDirectory
from finelens.web.items import Items
from finelens.web.schemas import ITEM_ID


@pytest.fixture
def items(trained):
    def opened(secret, root=trained):
        task = load_model(root / "model").task
        return Items(RunDirectory(root), task, is_clips=False, secret=secret)

    return opened


def test_an_id_leads_to_its_own_file_and_tells_nothing_of_it(items):
    opened = items(b"k" * 32)
    scores = opened.scores("val")
    found = [opened.id_of("val", name) for name in scores.ids]
    assert len(set(found)) == scores.num_examples
    for item, path in zip(found, scores.paths, strict=True):
        assert re.fullmatch(ITEM_ID, item)
        assert opened.place(item).path == path
        assert opened.place(item).span == (None, None)
        assert not opened.place(item).is_clip


def test_names_are_the_ids_and_of_absolute_paths_what_lies_below_their_folder(
    items, trained, tmp_path
):
    opened = items(b"k" * 32)
    assert opened.names("val") == opened.scores("val").ids
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    scores = opened.scores("val")
    ids = (*(f"/srv/data/{n % 2}/{n}.png" for n in range(11)), "relative/a.png")
    decision = read_decision(run / "model")
    path = run / "evaluation" / "val" / "scores.parquet"
    write_scores(path, dataclasses.replace(scores, ids=ids), decision)
    names = items(b"k" * 32, run).names("val")
    assert names == (*(f"{n % 2}/{n}.png" for n in range(11)), "relative/a.png")


def test_ids_differ_by_secret_and_by_split(items):
    one, other = items(b"a" * 32), items(b"b" * 32)
    name = one.scores("val").ids[0]
    assert one.id_of("val", name) == items(b"a" * 32).id_of("val", name)
    assert one.id_of("val", name) != other.id_of("val", name)
    assert one.id_of("val", name) != one.id_of("test", name)
    assert one.place(other.id_of("val", name)) is None
    assert one.place("../../etc/passwd") is None


def test_scores_that_were_evaluated_anew_are_read_without_a_restart(items, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    opened = items(b"k" * 32, run)
    before = opened.scores("val")
    stamps = opened.stamps()
    assert opened.scores("val") is before
    assert opened.stamps() == stamps
    kept, gone = before.ids[1:], before.ids[0]
    path = run / "evaluation" / "val" / "scores.parquet"
    fewer = dataclasses.replace(before, errors=("gone", *before.errors[1:])).readable()
    write_scores(path, fewer, read_decision(run / "model"))
    assert opened.scores("val").ids == kept
    assert opened.stamps() != stamps
    assert opened.find(opened.id_of("val", gone)) is None
    assert opened.find(opened.id_of("val", kept[3])) == ("val", 3)
    assert opened.scores("test").ids == items(b"k" * 32).scores("test").ids


def test_the_split_is_the_one_named_or_the_first(items):
    opened = items(b"k" * 32)
    assert opened.split(None) == "test"
    assert opened.split("val") == "val"
    with pytest.raises(DataError, match='split "vla" has not been evaluated; did you mean "val"'):
        opened.split("vla")
