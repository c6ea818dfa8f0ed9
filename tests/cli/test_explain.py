import re

import numpy as np
import pytest
from PIL import Image

import finelens


@pytest.fixture
def picture(table_data):
    return table_data.parent / "03.png"


def test_explain_writes_a_heat_map_and_says_what_is_said(
    finelens_command, trained, picture, tmp_path
):
    out = tmp_path / "heat.png"
    code, output, _ = finelens_command(
        "explain", trained, picture, "--class", "red", "--out", out
    )  # fmt: skip
    assert code == 0
    found = finelens.explain(trained, picture, "red")
    said = "said" if found.is_decided else "not said"
    assert f"red {found.probability:.2f}: {said} to be there" in output
    assert str(out) in output
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB"))
    # the picture's own colours on the left, those of heat on the right
    assert pixels.shape[1] > 900
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000


def test_explain_takes_the_most_probable_class_and_a_name_by_the_picture(
    finelens_command, trained, picture, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, output, _ = finelens_command("explain", trained, picture)
    assert code == 0
    row = finelens.predict(trained, [picture]).row(0, named=True)
    probabilities = {name: row[f"probability.{name}"] for name in ("blue", "green", "red")}
    best = max(probabilities, key=lambda name: probabilities[name])
    assert re.search(rf"{best} {probabilities[best]:.2f}:", output)
    assert (tmp_path / "heat-03.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--class", "rde"], 'did you mean "red"'),
        (["--out", "heat.jpg"], '".jpg" is unknown'),
        (["--out", "nowhere/heat.png"], "does not exist"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_line(
    finelens_command, trained, picture, arguments, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, errors = finelens_command("explain", trained, picture, *arguments)
    assert code == 1
    assert told in errors
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_picture_is_told(finelens_command, trained, tmp_path):
    code, _, errors = finelens_command("explain", trained, tmp_path / "none.jpg")
    assert code == 1
    assert "none.jpg: cannot be opened" in errors
