"""The tab that browses a run's own data: the surest of a class, and its worst mistakes."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple

import gradio as gr

from finelens.errors import FinelensError
from finelens.evaluation.class_mistakes import class_mistakes
from finelens.evaluation.example_scores import example_scores
from finelens.web.served_run import ServedRun
from finelens.web.site import Site
from finelens.web.ui.addresses import item_address
from finelens.web.ui.parts import SPLIT_WORDS, asset, bars, hint, refused

TOP, WRONG, MISSED = "Top 50", "Confident and wrong", "Missed"
EVERY = "every class"

_CHOOSE = "Choose one to see it large, with all its scores."


class Tile(NamedTuple):
    """One entry of a gallery.

    Attributes:
        item: Its opaque id.
        probability: Of the class, in [0, 1].
        is_true: Whether the label agrees; None is unknown.
        words: What is said below it.
    """

    item: str
    probability: float
    is_true: bool | None
    words: str


def build_top(site: Site, page: gr.Blocks, chooser: gr.Dropdown) -> None:
    """Add the tab to the page that is being built.

    Args:
        site: What is served.
        page: The page.
        chooser: Of the run.
    """

    def browse(run_name: str, what: str, class_name: str, split: str) -> tuple[str, str]:
        run = site.run(run_name)
        try:
            tiles = _tiles(run, what, class_name, split)
        except FinelensError as error:
            return refused("There is nothing to browse", str(error)), ""
        return _gallery(run, what, class_name, split, tiles), hint(_CHOOSE) if tiles else ""

    def turn(run_name: str, what: str, class_name: str, split: str) -> tuple[Any, str, str]:
        run = site.run(run_name)
        classes = _classes(run, what)
        chosen = class_name if class_name in classes else classes[0]
        if what != TOP and not _tiles(run, what, chosen, split):
            chosen = EVERY
        return gr.update(choices=classes, value=chosen), *browse(run_name, what, chosen, split)

    def renew(run_name: str) -> tuple[Any, ...]:
        run = site.run(run_name)
        splits = sorted(run.items.splits, key=lambda split: split != "val")
        classes = _classes(run, TOP)
        split = splits[0] if splits else "val"
        return (
            TOP,
            gr.update(choices=classes, value=classes[0]),
            gr.update(
                choices=[(SPLIT_WORDS.get(one, one), one) for one in splits or ["val"]],
                value=split,
                visible=len(splits) > 1,
            ),
            *browse(run_name, TOP, classes[0], split),
        )

    def enlarge(run_name: str, event: gr.EventData) -> str:
        return _enlarged(site.run(run_name), str(event.choice))

    with gr.Tab("View Top50 result", id="top"):
        with gr.Row(elem_classes="fl-controls"):
            what = gr.Radio([TOP, WRONG, MISSED], value=TOP, label="Show", scale=5)
            class_name = gr.Dropdown([], label="Class", elem_id="fl-top-class", scale=3)
            split = gr.Radio([], label="Of the split", scale=3)
        with gr.Row(elem_classes="fl-columns fl-browse"):
            with gr.Column(scale=3):
                gallery = gr.HTML(
                    elem_id="fl-gallery",
                    js_on_load=asset("choose.js"),
                    apply_default_css=False,
                )
            with gr.Column(scale=2, elem_classes="fl-beside"):
                large = gr.HTML(
                    elem_id="fl-large", js_on_load=asset("announce.js"), apply_default_css=False
                )
    asked = [chooser, what, class_name, split]
    what.input(turn, asked, [class_name, gallery, large])
    for control in (class_name, split):
        control.input(browse, asked, [gallery, large])
    gallery.choose(enlarge, chooser, large)
    for event in (page.load, chooser.change):
        event(renew, chooser, [what, class_name, split, gallery, large], show_progress="hidden")


def _classes(run: ServedRun, what: str) -> list[str]:
    classes = list(run.predictor.saved.task.classes)
    return classes if what == TOP else [EVERY, *classes]


def _tiles(run: ServedRun, what: str, class_name: str, split: str) -> list[Tile]:
    if what == TOP:
        marks = {True: "label agrees", False: "label disagrees", None: "no label"}
        return [
            Tile(item.item, item.probability, item.is_positive, marks[item.is_positive])
            for item in run.top(class_name, split=split).items
        ]
    split = run.items.split(split)
    scores = run.items.scores(split)
    wrong = class_mistakes(
        scores,
        run.decision,
        None if class_name == EVERY else class_name,
        missed=what == MISSED,
    )
    said = "missed" if what == MISSED else "not labelled"
    return [
        Tile(
            run.items.id_of(split, scores.ids[one.row]),
            one.probability,
            what == MISSED,
            f"{one.class_name}: {said}" if class_name == EVERY else said,
        )
        for one in wrong
    ]


def _gallery(run: ServedRun, what: str, class_name: str, split: str, tiles: list[Tile]) -> str:
    medium = "clips" if run.takes_clips else "pictures"
    words = f"{SPLIT_WORDS.get(split, split)} {medium}"
    if not tiles:
        return hint(f"There are none among the {words}.")
    number = len(tiles)
    shown = "a class" if class_name == EVERY else class_name
    said = {
        TOP: f"The {number} {words} with the highest confidence in {class_name}",
        WRONG: f"{number} {words} said to show {shown}, which they do not; the surest first",
        MISSED: f"{number} {words} that show {shown}, which was not said; the farthest first",
    }[what]
    drawn = "".join(_tile(run, rank, one) for rank, one in enumerate(tiles, start=1))
    return f'<p class="fl-said">{escape(said)}</p><div class="fl-gallery">{drawn}</div>'


def _tile(run: ServedRun, rank: int, one: Tile) -> str:
    sign = {True: "✓", False: "✗", None: "?"}[one.is_true]
    kind = {True: "is-true", False: "is-false", None: "is-unknown"}[one.is_true]
    return (
        f'<button type="button" data-choose="{one.item}" class="{kind}">'
        f'<img src="{item_address(run, one.item)}" alt="" loading="lazy">'
        f'<span><small>{rank}</small><strong data-probability="{one.probability!r}">'
        f"{one.probability:.3f}</strong></span>"
        f'<span class="fl-mark">{sign} {escape(one.words)}</span></button>'
    )


def _enlarged(run: ServedRun, item: str) -> str:
    found = run.items.find(item)
    if found is None:
        return refused("It cannot be shown", "it is not known any more; reload the page")
    split, row = found
    shown = example_scores(run.items.scores(split), run.decision, row)
    true = [score.class_name for score in shown if score.is_positive]
    is_known = any(score.is_positive is not None for score in shown)
    labels = ", ".join(true) if true else "none" if is_known else "unknown"
    return (
        f'<figure class="fl-picture"><img src="{item_address(run, item, is_large=True)}" '
        f'alt="The one that was chosen"></figure>'
        f"<p class='fl-said'>Labels: {escape(labels)}</p>{bars(shown)}"
    )
