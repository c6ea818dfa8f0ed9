"""The tab that moves thresholds: what they would give on a split, at once, and saving them."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from fastapi.concurrency import run_in_threadpool

from finelens.errors import FinelensError, RunError
from finelens.evaluation.scores import Scores
from finelens.evaluation.what_if import WhatIf
from finelens.models.folder import read_decision
from finelens.web.served_run import ServedRun
from finelens.web.site import Site
from finelens.web.ui.figures import averages, class_confusion, classes, confusion
from finelens.web.ui.parts import SPLIT_WORDS, asset, hint, refused

EVERY = "all classes together"

_SAVED = (
    "Saved. Predictions, report and comparison use these thresholds from now on; {kept} keeps "
    "the old ones."
)
_CLOSED = "Start the server with --allow-edit to save thresholds."
_NOTHING = "These are the saved thresholds."
_LATEST: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}

Thresholds = list[float]


def build_thresholds(site: Site, page: gr.Blocks, chooser: gr.Dropdown) -> None:
    """Add the tab to the page that is being built.

    Args:
        site: What is served.
        page: The page.
        chooser: Of the run.
    """
    saving = asyncio.Lock()

    judges: dict[str, tuple[Scores, WhatIf]] = {}

    def what_if(run_name: str) -> WhatIf:
        # the temperature stays as long as the server runs; scores until they are made anew
        run = site.run(run_name)
        scores = run.items.scores(_split(run))
        of, judge = judges.get(run_name, (None, None))
        if judge is None or of is not scores:
            judge = WhatIf(scores, run.decision)
            judges[run_name] = scores, judge
        return judge

    def show(run_name: str, class_name: str, thresholds: Thresholds) -> tuple[str, str]:
        run = site.run(run_name)
        try:
            judge = what_if(run_name)
        except FinelensError as error:
            return refused("There is nothing to judge thresholds by", str(error)), ""
        saved = judge.of(np.array(_saved(run)))
        now = judge.of(np.array(thresholds))
        task = judge.task
        chosen = None if class_name == EVERY else class_name
        detail = "" if chosen is None else class_confusion(now, task, chosen)
        medium = "clips" if run.takes_clips else "pictures"
        said = f"{judge.num_examples} {SPLIT_WORDS.get(_split(run), _split(run))} {medium}"
        return (
            f'<p class="fl-said">On {escape(said)}, and against the saved thresholds</p>'
            f"{averages(now, saved, medium)}{detail}",
            classes(now, saved, task, chosen) + confusion(now, task),
        )

    def move(
        run_name: str, class_name: str, threshold: float, thresholds: Thresholds
    ) -> tuple[Thresholds, str, str]:
        task = site.run(run_name).predictor.saved.task
        if class_name == EVERY:
            moved = [float(threshold)] * task.num_classes
        else:
            moved = list(thresholds)
            moved[task.index(class_name)] = float(threshold)
        return moved, *show(run_name, class_name, moved)

    def turn(run_name: str, class_name: str, thresholds: Thresholds) -> tuple[float, str, str]:
        at = _of_class(site.run(run_name), class_name, thresholds)
        return at, *show(run_name, class_name, thresholds)

    def choose(
        run_name: str, thresholds: Thresholds, event: gr.EventData
    ) -> tuple[str, float, str, str]:
        class_name = str(event.choice)
        return class_name, *turn(run_name, class_name, thresholds)

    def reset(run_name: str, class_name: str) -> tuple[Thresholds, float, str, str, str]:
        thresholds = _saved(site.run(run_name))
        return thresholds, *turn(run_name, class_name, thresholds), ""

    async def save(run_name: str, class_name: str, thresholds: Thresholds) -> tuple[str, str, str]:
        run = site.run(run_name)
        async with saving:
            said = await run_in_threadpool(_save, site, run, thresholds)
        return said, *show(run_name, class_name, thresholds)

    def renew(run_name: str) -> tuple[Any, ...]:
        run = site.run(run_name)
        names = [EVERY, *run.predictor.saved.task.classes]
        return gr.update(choices=names, value=EVERY), *reset(run_name, EVERY)

    with gr.Tab("Thresholds", id="thresholds"), gr.Row(elem_classes="fl-columns"):
        thresholds = gr.State([])
        with gr.Column(scale=2):
            class_name = gr.Dropdown([], label="Class", elem_id="fl-threshold-class")
            # its own button resets it to 0, and tells nobody
            slider = gr.Slider(
                0, 1, step=0.005, label="Threshold", elem_id="fl-threshold", buttons=[]
            )
            with gr.Row():
                back = gr.Button("Reset", size="md", elem_id="fl-reset")
                keep = gr.Button(
                    "Save",
                    size="md",
                    variant="primary",
                    interactive=site.allow_edit,
                    elem_id="fl-save",
                )
            words = gr.HTML(
                elem_id="fl-saved", js_on_load=asset("announce.js"), apply_default_css=False
            )
            if not site.allow_edit:
                gr.HTML(hint(_CLOSED), apply_default_css=False)
            figures = gr.HTML(elem_id="fl-figures", apply_default_css=False)
        with gr.Column(scale=3):
            rows = gr.HTML(
                elem_id="fl-rows", js_on_load=asset("choose.js"), apply_default_css=False
            )
    shown = [figures, rows]
    slider.input(move, [chooser, class_name, slider, thresholds], [thresholds, *shown], **_LATEST)
    class_name.input(turn, [chooser, class_name, thresholds], [slider, *shown], **_LATEST)
    rows.choose(choose, [chooser, thresholds], [class_name, slider, *shown], **_LATEST)
    back.click(reset, [chooser, class_name], [thresholds, slider, *shown, words], **_LATEST)
    keep.click(save, [chooser, class_name, thresholds], [words, *shown], show_progress="minimal")
    for event in (page.load, chooser.change):
        event(
            renew,
            chooser,
            [class_name, thresholds, slider, *shown, words],
            show_progress="hidden",
        )


def _split(run: ServedRun) -> str:
    return run.items.split("val" if "val" in run.items.splits else None)


def _saved(run: ServedRun) -> Thresholds:
    decision, task = run.decision, run.predictor.saved.task
    return list(decision.thresholds or (0.0,) * task.num_classes)


def _of_class(run: ServedRun, class_name: str, thresholds: Thresholds) -> float:
    """Return where the slider stands: of all classes together, at the middle one."""
    if class_name == EVERY:
        return float(np.median(thresholds))
    return thresholds[run.predictor.saved.task.index(class_name)]


def _save(site: Site, run: ServedRun, thresholds: Thresholds) -> str:
    """Save thresholds that moved, and use them from now on; say what came of it."""
    if not site.allow_edit:
        return refused("Nothing was saved", _CLOSED.removesuffix("."))
    names = run.predictor.saved.task.classes
    pairs = zip(names, thresholds, _saved(run), strict=True)
    moved = {name: now for name, now, saved in pairs if now != saved}
    if not moved:
        return hint(_NOTHING)
    # it comes with what draws a report, which takes a second to import
    from finelens.api.thresholds import save_thresholds

    try:
        decision = save_thresholds(run.directory.root, moved)
    except RunError as error:
        # the decision is written, and only the figures could not be brought up to it
        run.predictor.saved.decision = read_decision(run.directory.model)
        return refused("The figures are still the old ones", str(error))
    except FinelensError as error:
        return refused("Nothing was saved", str(error))
    run.predictor.saved.decision = decision
    assert decision.edit is not None
    return hint(_SAVED.format(kept=decision.edit.previous))
