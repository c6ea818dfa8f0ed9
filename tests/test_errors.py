import shlex
from pathlib import Path

import pytest

from finelens import errors
from finelens.errors import FinelensError, did_you_mean, typed

KINDS = ("ConfigError", "DataError", "ModelError", "RunError")


@pytest.mark.parametrize("name", KINDS)
def test_every_error_can_be_caught_as_a_finelens_error(name):
    assert issubclass(getattr(errors, name), FinelensError)
    assert name in (errors.__doc__ or "")


def test_the_nearest_name_is_given_first():
    said = did_you_mean("layer3", ["layer1", "layer4", "layer33"])
    assert said == '; did you mean "layer33", "layer4" or "layer1"?'


def test_upper_and_lower_case_do_not_hide_a_name():
    assert did_you_mean("RESNET18", ["resnet18", "vgg16"]) == '; did you mean "resnet18"?'
    assert did_you_mean("tests", ["Test", "TEST"]) == '; did you mean "Test" or "TEST"?'


def test_at_most_three_names_are_near():
    said = did_you_mean("resnet", [f"resnet{n}" for n in range(10)])
    assert said.count('"') == 6


def test_a_name_given_twice_is_said_once():
    assert did_you_mean("vall", ["val", "val"]) == '; did you mean "val"?'


def test_a_few_choices_are_all_listed_where_none_is_near():
    assert did_you_mean("zebra", ["train", "val", "test"]) == (
        '; known are "train", "val" and "test"'
    )


def test_many_choices_are_not_listed():
    assert did_you_mean("zebra", [f"class-{n}" for n in range(13)]) == ""
    assert did_you_mean("zebra", []) == ""


def test_a_path_is_told_as_a_shell_takes_it():
    assert typed(Path("runs/a")) == "runs/a"
    assert shlex.split(typed("my runs/it's")) == ["my runs/it's"]
