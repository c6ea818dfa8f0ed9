import re
from importlib import resources
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from finelens.reporting.chart import INKS, SERIES_INKS, draw_chart
from finelens.reporting.comparison_figures import intervals_chart, roc_runs_chart, runs_chart
from finelens.reporting.early_stop import EarlyStop
from finelens.reporting.figures import Line, curves_chart, sweep_chart
from finelens.reporting.history import read_history
from finelens.reporting.run_curves import RunCurves
from finelens.reporting.training_figures import loss_chart, metric_chart

STYLE = (resources.files("finelens.reporting") / "templates" / "style.css").read_text()


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def palettes():
    """Return the colours of light mode, dark mode and print, as style.css declares them."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_page_and_charts_have_the_same_light_colours():
    light, _, paper = palettes()
    assert {name: light[name] for name in INKS} == INKS
    assert {name: paper[name] for name in INKS} == INKS


@pytest.mark.parametrize("mode", range(3))
def test_every_colour_stands_out_from_its_page(mode):
    colours = palettes()[mode]
    for name in ("ink", "muted", "blue", "orange", "green"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    for name in SERIES_INKS:
        assert contrast(colours[name], colours["page"]) >= 3, name
    assert contrast(colours["ink"], colours["caution"]) >= 4.5


def test_drawing_holds_no_colour_but_variables_of_the_style():
    line = Line([0, 0.5, 1], [0, 0.8, 1])
    chart = curves_chart("roc", {0: line}, {"mean": line}, title="ROC", axis_labels=("x", "y"),
                         is_roc=True)  # fmt: skip
    ET.fromstring(
        str(chart.svg).replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
    )
    bare = re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", chart.svg)
    assert not re.search(r"(fill|stroke): #[0-9a-f]{6}", bare)
    assert set(re.findall(r"var\(--(\w+)", chart.svg)) <= set(INKS)
    assert 'class="class-curve" data-class="0"' in chart.svg


def test_drawing_is_the_same_each_time_and_leaves_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    first, second = (
        sweep_chart(
            "s", [0, 0.5, 1], {"F1": [0, 1, 0]}, title="t", chosen=0.5, best=[("F1", 0.5, 1)]
        )
        for _ in range(2)
    )
    assert first.svg == second.svg
    assert dict(mpl.rcParams) == before


def test_text_in_drawings_is_escaped_and_never_mathematics():
    chart = intervals_chart([("$a<b>$ & 漢字", 0.5, (0.4, 0.6))], title="t")
    assert "$a&lt;b&gt;$ &amp; 漢字" in chart.svg
    quoted = draw_chart("q", lambda _: None, title="t", description='"><script>')
    assert "<script>" not in quoted.svg


def rows(phases):
    return [
        {"step": e, "epoch": e, "phase": phase, "split": split, "name": name, "value": value}
        for e, phase in enumerate(phases, start=1)
        for split, name, value in (
            ("train", "loss", 1 / e), ("val", "loss", abs(e - 2) + 0.5), ("val", "accuracy", 0.5)
        )
    ]  # fmt: skip


def test_phase_borders_are_drawn_between_phases_and_named():
    one, three = (loss_chart(read_history(rows(phases))) for phases in ("aaa", "abc"))
    dotted = "stroke-dasharray"
    assert one.svg.count(dotted) == 0
    assert three.svg.count(dotted) == 2
    assert all(f">{name}</text>" in three.svg for name in "abc")
    assert three.note == "Validation loss was lowest after epoch 2."


def test_probe_is_a_dashed_line_of_the_main_metric():
    probe = {"step": 0, "epoch": 0, "phase": "probe", "split": "val", "name": "accuracy",
             "value": 0.4}  # fmt: skip
    history = read_history([probe, *rows("aa")])
    chart = metric_chart(history, {"accuracy": "accuracy"}, best_epoch=1)
    assert [entry.mark for entry in chart.legend] == ["solid", "dashed"]
    assert "epoch 1" in chart.note


def dashes(chart):
    return re.findall(r"stroke-dasharray: ([\d.]+)", chart.svg)


def test_an_early_stop_is_drawn_in_the_chart_of_its_metric_alone():
    history = read_history(rows("aa"))
    names = {"accuracy": "accuracy"}
    plain = metric_chart(history, names, best_epoch=1)
    stop = EarlyStop("accuracy", epoch=2, target=0.6, words="")
    chart = metric_chart(history, names, best_epoch=1, stop=stop)
    assert [entry.mark for entry in chart.legend] == ["solid", "dotted", "upright"]
    assert len(dashes(chart)) == len(dashes(plain)) + 1  # the target
    upright = "stroke-width: 1.2"
    assert chart.svg.count(upright) == plain.svg.count(upright) + 1
    assert loss_chart(history, stop=stop).svg == loss_chart(history).svg
    of_loss = EarlyStop("loss", epoch=2, target=None, words="")
    assert metric_chart(history, names, best_epoch=1, stop=of_loss).svg == plain.svg
    assert loss_chart(history, stop=of_loss).legend[-1].label == "stopped after epoch 2"


def test_more_runs_than_hues_stay_apart_by_dashes():
    line = Line([1, 2], [0.2, 0.1])
    chart = runs_chart({f"run {n}": line for n in range(8)}, title="t")
    looks = [(entry.ink, entry.mark) for entry in chart.legend]
    assert len(set(looks)) == 8


def test_a_run_keeps_its_colour_in_every_picture():
    line, nothing = Line([0, 1], [0.2, 0.1]), Line([], [])
    runs = {"a": nothing, "b": line}
    errors = runs_chart(runs, title="t")
    roc = roc_runs_chart(
        {name: RunCurves({0: line, 4: line}, line, nothing, None) for name in runs}, title="t"
    )
    assert [(entry.label, entry.ink) for entry in errors.legend] == [("b", SERIES_INKS[1])]
    assert [entry.ink for entry in roc.legend[:2]] == list(SERIES_INKS[:2])


def test_curves_of_one_class_of_several_runs_are_found_together():
    line = Line([0, 1], [0, 1])
    curves = RunCurves({0: line, 4: line}, line, line, 0.5)
    chart = roc_runs_chart({"a": curves, "b": curves, "c": curves}, title="t")
    assert chart.svg.count('class="class-curve" data-class="4"') == 3
    assert chart.svg.count('class="average-curve" data-average="0"') == 2
