"""The tab that predicts: a picture or clip, what is found in it, and where the model looked."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import gradio as gr
import numpy as np
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from finelens.data.heat_drawing import MOST_FRAMES, draw_pictures
from finelens.data.heat_map import HeatMap
from finelens.errors import FinelensError
from finelens.evaluation.example_scores import ClassScore
from finelens.evaluation.explanation import Explanation
from finelens.web.decoder import Thumbnail
from finelens.web.looking import Frames, unpack_frames
from finelens.web.problems import Refusal
from finelens.web.schemas import Row
from finelens.web.served_run import OwnExample, ServedRun
from finelens.web.site import Site
from finelens.web.ui.addresses import item_address
from finelens.web.ui.examples import example_items
from finelens.web.ui.parts import SPLIT_WORDS, asset, bars, hint, picture, refused
from finelens.web.ui.picked import open_picked
from finelens.web.uploads import Upload

_PREVIEW_PX, _HEAT_PX, _FRAME_PX = 800, 800, 240
_EXPLAINED_AT_ONCE = 2
_FIRST = "Give a file or choose an example: what is found in it is shown here."
_CHOOSE = "Choose a class to see where the model looked for it."
_JPEG_QUALITY = 88


def build_predict(site: Site, page: gr.Blocks, chooser: gr.Dropdown) -> None:
    """Add the tab to the page that is being built.

    Args:
        site: What is served.
        page: The page.
        chooser: Of the run.
    """
    explaining = asyncio.Semaphore(_EXPLAINED_AT_ONCE)

    async def predict(run_name: str, picked: Any) -> tuple[str, str]:
        run = site.run(run_name)
        try:
            async with open_picked(site, run, picked) as given:
                (row,) = await run.predict([given])
                preview = b"" if row.error else await _preview(run, given)
        except Refusal as refusal:
            return refused(refusal.problem.title, refusal.problem.detail), ""
        if row.error:
            return refused(row.error.title, row.error.detail), ""
        return _result(run, row, preview), hint(_CHOOSE)

    async def predict_example(run_name: str, event: gr.EventData) -> tuple[Any, str, str]:
        picked = {"item": str(event.choice)}
        return picked, *await predict(run_name, picked)

    async def explain(run_name: str, picked: Any, event: gr.EventData) -> str:
        run = site.run(run_name)
        try:
            async with explaining, open_picked(site, run, picked) as given:
                explanation = await _explanation(run, given, str(event.choice))
            return await run_in_threadpool(_heat, explanation)
        except Refusal as refusal:
            return refused(refusal.problem.title, refusal.problem.detail)
        except FinelensError as error:
            return refused("There is no heat map", str(error))

    def renew(run_name: str) -> list[Any]:
        return [show_examples(run_name), hint(_FIRST), "", None]

    def show_examples(run_name: str) -> str:
        return _examples(site.run(run_name))

    with gr.Tab(_title(site), id="predict"):
        picker = gr.HTML(
            html_template=asset("picker.html"),
            js_on_load=asset("picker.js"),
            elem_id="fl-picker",
            apply_default_css=False,
            most_bytes=site.limits.file_bytes,
        )
        with gr.Row(elem_classes="fl-columns"):
            with gr.Column():
                result = _panel("fl-result", hint(_FIRST), is_announced=True)
            with gr.Column():
                heat = _panel("fl-heat", is_announced=True)
        examples = _panel("fl-examples", _medium(next(iter(site.runs.values()))))
    given = [chooser, picker]
    picker.picked(predict, given, [result, heat])
    examples.choose(predict_example, chooser, [picker, result, heat])
    result.choose(explain, given, heat)
    # what was picked before the page was complete stays
    page.load(show_examples, chooser, examples, show_progress="hidden")
    chooser.change(renew, chooser, [examples, result, heat, picker], show_progress="hidden")


def _title(site: Site) -> str:
    media = {"clip" if run.takes_clips else "image" for run in site.runs.values()}
    return f"Predict {' or '.join(sorted(media, reverse=True))}"


def _panel(name: str, content: str = "", *, is_announced: bool = False) -> gr.HTML:
    scripts = asset("choose.js") + (asset("announce.js") if is_announced else "")
    return gr.HTML(content, elem_id=name, js_on_load=scripts, apply_default_css=False)


async def _preview(run: ServedRun, given: Upload | OwnExample) -> bytes:
    path, span = _place(given)
    job = Thumbnail(path, span, run.takes_clips, _PREVIEW_PX, is_moving=run.takes_clips)
    return await asyncio.wrap_future(run.decoding.submit(job))


async def _explanation(run: ServedRun, given: Upload | OwnExample, class_name: str) -> Explanation:
    path, span = _place(given)
    preprocessing = run.predictor.saved.preprocessing
    job = Frames(path, span, preprocessing, is_own=isinstance(given, OwnExample))
    pictures_THWC = unpack_frames(await asyncio.wrap_future(run.decoding.submit(job)))
    waiting = run.batching.call(lambda: run.predictor.explain_pictures(pictures_THWC, class_name))
    return await asyncio.wrap_future(waiting)


def _place(given: Upload | OwnExample) -> tuple[str, tuple[float | None, float | None]]:
    if isinstance(given, OwnExample):
        return given.place.path, given.place.span
    if given.problem is not None:
        raise Refusal("file-too-large", given.problem.detail)
    return str(given.path), (None, None)


def _result(run: ServedRun, row: Row, preview: bytes) -> str:
    assert row.probabilities is not None
    assert row.labels is not None
    task = run.predictor.saved.task
    thresholds = run.decision.thresholds or (None,) * task.num_classes
    scores = [
        ClassScore(name, probability, threshold, name in row.labels, is_positive=None)
        for (name, probability), threshold in zip(
            row.probabilities.items(), thresholds, strict=True
        )
    ]
    scores.sort(key=lambda score: -score.probability)
    found = [score for score in scores if score.is_decided]
    others = [score for score in scores if not score.is_decided]
    said = bars(found, is_choice=True) if found else (
        '<p class="fl-none"><strong>Not identified</strong>'
        "No class reaches its threshold.</p>"
    )  # fmt: skip
    medium = "clip" if run.takes_clips else "picture"
    note = hint(f"{row.note[:1].upper()}{row.note[1:]}.") if row.note else ""
    return (
        f'<figure class="fl-picture">{picture(preview, f"The {medium} that was predicted")}'
        f"</figure>{note}<h3>Found</h3>{said}"
        f"<details><summary>{len(others)} other classes</summary>"
        f"{bars(others, is_choice=True)}</details>"
    )


def _heat(explanation: Explanation) -> str:
    heat = explanation.heat
    if heat.is_cold:
        return hint(f'No place speaks for "{explanation.class_name}".')
    is_clip = heat.num_frames > 1
    frames = np.linspace(0, heat.num_frames - 1, min(heat.num_frames, MOST_FRAMES))
    chosen = [int(frame) for frame in frames.round()]
    shown = HeatMap(
        heat.pictures_THWC[chosen], heat.views_TSSC[chosen], heat.heat_TSS[chosen], heat.box
    )
    drawn = draw_pictures(shown, longest_px=_FRAME_PX if is_clip else _HEAT_PX)
    name = explanation.class_name
    figures = "".join(
        f"<figure>{picture(_jpeg(image), f'Where the model looked for {name}')}"
        + (f"<figcaption>frame {frame + 1}</figcaption>" if is_clip else "")
        + "</figure>"
        for frame, image in zip(chosen, drawn, strict=True)
    )
    strip = " fl-strip" if is_clip else ""
    return (
        f'<div class="fl-heat{strip}">{figures}</div>'
        '<p class="fl-scale"><span>speaks for it: nothing</span><i></i><span>most</span></p>'
        f"{_heat_words(explanation)}"
    )


def _heat_words(explanation: Explanation) -> str:
    words = f"Where the model looked for {explanation.class_name} (Grad-CAM)."
    box = explanation.heat.box
    is_cut = box.left >= 1 or box.top >= 1
    return hint(f"{words} It does not see the pale border." if is_cut else words)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _medium(run: ServedRun) -> str:
    """Return the mark by which the style hides the camera, which takes no clips."""
    return '<i class="fl-takes-clips" hidden></i>' if run.takes_clips else ""


def _examples(run: ServedRun) -> str:
    items = example_items(run)
    if not items:
        return _medium(run)
    medium = "clips" if run.takes_clips else "pictures"
    split, _ = run.items.find(items[0]) or ("", 0)
    words = SPLIT_WORDS.get(split, split)
    tiles = "".join(
        f'<button type="button" data-choose="{item}" aria-label="Example {number}">'
        f'<img src="{item_address(run, item)}" alt="" loading="lazy"></button>'
        for number, item in enumerate(items, start=1)
    )
    shown = f'<h3>Examples: {words} {medium}</h3><div class="fl-tiles">{tiles}</div>'
    return _medium(run) + shown
