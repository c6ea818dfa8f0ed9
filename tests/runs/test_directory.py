import json
import os

import pytest

from finelens.errors import RunError
from finelens.runs.directory import (
    RunDirectory,
    check_new_run,
    create_run,
    open_run,
    read_json,
    write_json_atomic,
    write_text_atomic,
)


@pytest.fixture
def run(tmp_path):
    """Return a run that was begun and not finished."""
    run = create_run(tmp_path / "runs" / "mine")
    run.recipe.write_text("seed: 0\n")
    return run


def _complete(run):
    run.model.mkdir()
    (run.model / "model.json").write_text("{}")


def test_the_files_have_the_names_that_the_documents_give(tmp_path):
    run = RunDirectory(tmp_path)
    names = [
        run.recipe, run.environment, run.metrics_log, run.checkpoints, run.model,
        run.evaluation("val"), run.report,
    ]  # fmt: skip
    assert [path.relative_to(tmp_path).as_posix() for path in names] == [
        "recipe.yaml", "environment.json", "metrics.jsonl", "checkpoints", "model",
        "evaluation/val", "report.html",
    ]  # fmt: skip


def test_a_new_run_makes_its_parents_and_may_use_an_empty_folder(tmp_path):
    assert create_run(tmp_path / "a" / "b").checkpoints.is_dir()
    (tmp_path / "empty").mkdir()
    assert create_run(tmp_path / "empty").root == tmp_path / "empty"


def test_an_existing_run_is_never_written_over(run):
    with pytest.raises(RunError, match="exists already; go on with --resume, or choose another"):
        create_run(run.root)
    assert run.recipe.read_text() == "seed: 0\n"


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already; choose another with --run"):
        create_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_a_run_or_its_parent_is_told(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match="exists already"):
        create_run(file)
    with pytest.raises(RunError, match="file cannot be written; choose another"):
        create_run(file / "run")
    with pytest.raises(RunError, match="is a file, not a run folder"):
        open_run(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    for place in (locked, locked / "run"):
        with pytest.raises(RunError, match="Permission denied"):
            check_new_run(place)


def test_a_run_that_is_nowhere_or_foreign_is_told(tmp_path):
    with pytest.raises(RunError, match="does not exist; `finelens train` makes one"):
        open_run(tmp_path / "none")
    with pytest.raises(RunError, match=r"is not a run folder: it holds no recipe\.yaml$"):
        open_run(tmp_path)


def test_a_folder_inside_a_run_names_the_run(run):
    with pytest.raises(RunError, match=f"did you mean {run.root}\\?"):
        open_run(run.checkpoints)


def test_an_incomplete_run_opens_only_to_be_resumed(run):
    assert not run.is_complete
    assert open_run(str(run.root), complete=False) == run
    with pytest.raises(RunError, match=f"is incomplete.*finelens train --resume {run.root}"):
        open_run(run.root)
    _complete(run)
    assert open_run(run.root) == run


def test_evaluated_splits_are_those_with_metrics_test_first(run):
    assert run.evaluated_splits == []
    for split in ("val", "train", "other", "test"):
        write_json_atomic(run.evaluation(split) / "metrics.json", {})
    run.evaluation("unfinished").mkdir()
    assert run.evaluated_splits == ["test", "val", "train", "other"]


def test_text_and_json_come_back_as_written(tmp_path):
    path = tmp_path / "new folder" / "facts.json"
    content = {"class": "Kegel-ß", "value": 0.1, "none": None, "list": [1, 2]}
    write_json_atomic(path, content)
    assert read_json(path) == content == json.loads(path.read_text(encoding="utf-8"))
    write_text_atomic(path, '"é"')
    assert read_json(path) == "é"
    assert [file.name for file in path.parent.iterdir()] == ["facts.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    write_text_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomic(path, "x" * 100_000 + "\ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = tmp_path / "report.html"
    write_text_atomic(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_text_atomic(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_know_are_refused_before_writing(tmp_path, value):
    path = tmp_path / "metrics.json"
    write_json_atomic(path, {"accuracy": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomic(path, {"accuracy": value})
    assert read_json(path) == {"accuracy": 0.5}


def test_json_that_is_missing_or_broken_is_told(tmp_path):
    with pytest.raises(RunError, match=r"environment\.json cannot be read: No such file"):
        read_json(tmp_path / "environment.json")
    for content in (b'{"a": ', b"\xff\xfe", b""):
        (tmp_path / "broken.json").write_bytes(content)
        with pytest.raises(RunError, match=r"broken\.json is not valid JSON"):
            read_json(tmp_path / "broken.json")
