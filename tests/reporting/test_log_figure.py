import numpy as np
import pytest
from PIL import Image

from finelens.reporting.log_figure import draw_log
from finelens.reporting.training_log import read_foreign_log, read_run_log


@pytest.fixture
def foreign(tmp_path):
    """Return a function from a text to its training log."""

    def read(text):
        (tmp_path / "a.log").write_text(text)
        return read_foreign_log(tmp_path / "a.log")

    return read


def test_a_panel_without_figures_is_left_out(foreign, tmp_path):
    draw_log(foreign("Loss: 1 Acc: 0.5\nLoss: 0.5 Acc: 0.8\n"), tmp_path / "both.png")
    draw_log(foreign("Acc: 0.5\nAcc: 0.8\n"), tmp_path / "one.png")
    both, one = (Image.open(tmp_path / f"{name}.png").size for name in ("both", "one"))
    assert both == (2 * one[0], one[1])


def test_the_paper_is_white_and_the_curves_have_the_houses_inks(foreign, tmp_path):
    draw_log(
        foreign("train Loss: 1 val Loss: 2\ntrain Loss: 0.5 val Loss: 1\n"), tmp_path / "a.png"
    )
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    assert {(0x0B, 0x6B, 0xB5), (0xB9, 0x4E, 0x00), (255, 255, 255)} <= colours
    assert (pixels == 255).all(axis=1).mean() > 0.8


def test_the_same_log_gives_the_same_picture(make_run, tmp_path):
    log = read_run_log(make_run())
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        draw_log(log, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
