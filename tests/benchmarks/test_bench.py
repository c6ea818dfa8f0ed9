import json
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import (
    choose_rows,
    figures,
    find_data,
    lack,
    measure,
    needs_peers,
    parse,
    recall,
    section,
)
from suite.figures import Target
from suite.peers import check_same_torch
from suite.row import Bench, Contender, Row
from suite.rows import ROWS

WAITER = """
import sys, time
sys.path.insert(0, {contenders!r})
from gate import Gate, serve
print("noise that a library makes")
log = open({log!r}, "a", buffering=1)
def work():
    log.write({name!r} + "\\n")
    return 7
serve(Gate("pytest"), work, "things/s")
"""


def waiter(name: str, log: Path) -> Contender:
    contenders = str(Path(__file__).parents[2] / "benchmarks" / "contenders")
    program = WAITER.format(contenders=contenders, log=str(log), name=name)
    return Contender(lambda _bench, _out: [sys.executable, "-c", program])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench({}, tmp_path, Path(sys.executable), Path(sys.executable), is_smoke=True)


def test_contenders_take_turns_after_a_warm_up_of_each(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    row = Row("row", "what", "peer", Target(), (), waiter("a", log), waiter("b", log))
    result = measure(bench, row, num_rounds=3)
    assert log.read_text().split() == list("ab" + "ababab")
    assert result["unit"] == "things/s"
    assert [len(answers) for answers in result["answers"]] == [3, 3]
    assert result["versions"] == {"pytest": pytest.__version__}


def test_contender_that_fails_ends_the_bench_with_its_own_words(bench: Bench) -> None:
    broken = Contender(lambda _bench, _out: [sys.executable, "-c", "raise OSError('no disk')"])
    row = Row("row", "what", "", Target(), (), broken)
    with pytest.raises(SystemExit, match="no disk"):
        measure(bench, row, num_rounds=1)


def test_whole_job_tells_its_own_value_and_its_quality(bench: Bench) -> None:
    program = "import sys; open(sys.argv[1], 'w').write('{\"value\": 3.5}')"
    job = Contender(
        lambda _bench, out: [sys.executable, "-c", program, str(out)],
        is_whole=True,
        quality=lambda _bench, out: float(out.exists()),
    )
    result = measure(bench, Row("row", "what", "", Target(), (), job), num_rounds=2)
    measured = figures(result)
    assert list(measured.ours) == [3.5, 3.5]
    assert list(measured.our_qualities) == [1.0, 1.0]
    assert measured.ratio is None


def test_one_contender_may_tell_both_values() -> None:
    answer = {"value": 20.0, "unit": "clips/s", "extra": {"against": 2.0}}
    measured = figures({"unit": "clips/s", "answers": [[answer]]})
    assert measured.ratio is not None
    assert measured.ratio.median == 10


def test_keys_of_rows_are_unique_and_chosen_by_their_beginning() -> None:
    keys = [row.key for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert choose_rows([]) == list(ROWS)
    chosen = [row.key for row in choose_rows(["start", "frozen"])]
    assert chosen == ["frozen", "start-help", "start-recipes"]
    chosen = [row.key for row in choose_rows(["score", "loader-limit"])]
    assert chosen == ["loader-limit", "score"]
    with pytest.raises(SystemExit, match="choose from loader-timm"):
        choose_rows(["star"])


def test_rows_that_cannot_be_measured_here_say_why(tmp_path: Path) -> None:
    rows = {row.key: row for row in choose_rows([])}
    assert lack(rows["gpu-32-best"], {"photos": tmp_path}, has_gpu=True) is None
    assert lack(rows["gpu-32-best"], {}, has_gpu=False) == "it is measured on a GPU"
    assert lack(rows["score"], {"photos": tmp_path}, has_gpu=True) == "it is measured without a GPU"
    assert lack(rows["score"], {}, has_gpu=False) == "no photos: give --data or --photos"


def test_rows_of_finelens_alone_need_no_peers() -> None:
    rows = {row.key: row for row in choose_rows([])}
    alone = {key for key, row in rows.items() if not needs_peers(row)}
    assert alone >= {"loader-limit", "train-memory", "clips", "start-help", "manifest"}
    assert not alone & {
        "loader-timm",
        "train-fastai",
        "frozen",
        "quality-voc",
        "score",
        "gpu-32-best",
    }


def test_another_torch_is_refused() -> None:
    check_same_torch({"torch": "2.15.0"}, {"torch": "2.15.0", "timm": "1"})
    with pytest.raises(SystemExit, match=r"2\.15\.0 and the peers 2\.14\.1"):
        check_same_torch({"torch": "2.15.0"}, {"torch": "2.14.1"})
    with pytest.raises(SystemExit, match="peers None"):
        check_same_torch({"torch": "2.15.0"}, {})


FIXED: dict[str, Any] = {
    "machine": {"processor": "one"},
    "versions": {"torch": "2.15.0"},
    "sources": {"photos": "aaaa", "plants": "bbbb", "weights": "cccc"},
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    rows = {key: {"at": "today"} for key in ("loader-same", "frozen", "manifest")}
    path.write_text(json.dumps({**FIXED, "rows": rows}))
    return path


def test_rows_are_kept_while_nothing_they_depend_on_changes(results: Path) -> None:
    fixed = FIXED | {"sources": {"plants": "bbbb"}}  # the others are not asked for
    assert recall(results, fixed) == json.loads(results.read_text())


def test_rows_of_other_data_begin_anew(results: Path) -> None:
    recalled = recall(results, FIXED | {"sources": FIXED["sources"] | {"photos": "dddd"}})
    assert list(recalled["rows"]) == ["frozen", "manifest"]
    assert recalled["sources"]["photos"] == "dddd"


@pytest.mark.parametrize(
    "other", [{"machine": {"processor": "two"}}, {"versions": {"torch": "2.16.0"}}]
)
def test_all_rows_begin_anew_on_another_machine(results: Path, other: dict[str, Any]) -> None:
    assert recall(results, FIXED | other)["rows"] == {}


def test_peers_that_were_not_asked_for_keep_their_versions(results: Path) -> None:
    with_peers = recall(results, FIXED | {"versions": FIXED["versions"] | {"fastai": "2.8.12"}})
    assert with_peers["rows"]
    results.write_text(json.dumps(with_peers))
    assert recall(results, FIXED) == with_peers


def test_section_names_the_data_of_its_rows_alone() -> None:
    answer = {"value": 2.0, "unit": "pictures/s", "extra": {}}
    row = {"unit": "pictures/s", "answers": [[answer], [answer]]}
    facts = {"at": "today", "commit": "abc", "load": "0.1"}
    written = section({**FIXED, "rows": {"loader-same": row | facts}})
    assert "- data: photos\n" in written
    assert "no target" not in written
    assert "aaaa" not in written


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rounds", "0"], "0 must be 1 or more"),
        (["--peers", "no/python"], "there is no such interpreter"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_done(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_named_folder_without_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no such folder, or no file in it"):
        find_data(parse(["--photos", str(tmp_path / name)]))
