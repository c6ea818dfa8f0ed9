import pytest

from finelens.progress import Progress, Silent


def test_nobody_watching_costs_nothing_and_prints_nothing(capsys):
    progress: Progress = Silent()
    with progress.stage("reading", 3) as advance:
        advance(2, "halfway")
        advance(1, "")
    progress.say("done")
    assert capsys.readouterr() == ("", "")


def test_an_error_inside_a_stage_comes_out():
    with pytest.raises(KeyError), Silent().stage("reading", 1):
        raise KeyError("x")
