import pytest

from finelens.evaluation.other_data import OtherData


def other_data(num_examples=427, **counts):
    known = {"num_train": 0, "num_val": 0, "num_gone": 0} | counts
    return OtherData("/data/garden", None, num_examples, **known)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            {"num_train": 297},
            "297 of these 427 clips are in the run's train split: the figures flatter",
        ),
        (
            {"num_train": 1, "num_val": 60},
            "1 of these 427 clips is in the run's train split, and 60 are in its val split, on "
            "which it was chosen: the figures flatter",
        ),
        (
            {"num_val": 1},
            "1 of these 427 clips is in the run's val split, on which it was chosen: the figures "
            "flatter",
        ),
        (
            {"num_gone": 3},
            "3 clips of the run's own train and val splits could not be looked at, so these may "
            "hold copies of them that nobody noticed",
        ),
    ],
)
def test_what_the_run_knows_already_is_said(counts, words):
    assert other_data(**counts).cautions("clip") == [words]


def test_nothing_is_said_of_data_that_are_new():
    assert other_data().cautions("picture") == []


def test_it_comes_back_from_the_metrics_and_a_split_of_the_runs_own_has_none():
    known = other_data(num_train=4)
    assert OtherData.of_metrics({"other_data": known.to_json()}) == known
    assert OtherData.of_metrics({"split": "test"}) is None


def test_the_source_names_the_place_and_the_split():
    assert other_data(1).source("picture") == "1 picture of /data/garden"
    assert OtherData("/d", "val", 7, 0, 0, 0).source("clip") == "7 clips of /d, its val split"
