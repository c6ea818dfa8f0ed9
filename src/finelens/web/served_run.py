"""The served run: one run's model, decision and data, as REST and the page use them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from torch import Tensor

from finelens.decision import Decision
from finelens.evaluation.predictions import PROBABILITY, predictions_table
from finelens.evaluation.scores import Scores
from finelens.predictor import Predictor
from finelens.runs.directory import RunDirectory, read_json
from finelens.web.batching import Batching, Places
from finelens.web.decoder import Thumbnail, View, unpack_view
from finelens.web.decoding import Decoding
from finelens.web.items import Items, Place
from finelens.web.looking import OwnView
from finelens.web.metrics import Metrics
from finelens.web.problems import Problem, Refusal, problem
from finelens.web.schemas import ClassInfo, Item, ModelInfo, Row, TopItems
from finelens.web.uploads import Upload

_FIGURES = ("example", "macro", "micro")
_SINGLE_FIGURES = (
    "accuracy", "mean_average_precision", "top5_accuracy", "roc_auc", "num_examples",
)  # fmt: skip


@dataclass(frozen=True)
class OwnExample:
    """An input that is one of the run's own pictures or clips.

    Attributes:
        place: Where it lies.
        name: What it is called in its row.
        problem: None: nothing is refused.
    """

    place: Place
    name: str = ""
    problem: Problem | None = None


class _Found(NamedTuple):
    """What came of an upload: its logits or why there are none, and its file's note."""

    answer: NDArray[np.float32] | Problem
    note: str | None = None


@dataclass(frozen=True)
class ServedRun:
    """A run that is open.

    Attributes:
        name: What requests call it.
        directory: Where it lies.
        predictor: Its model; ``predictor.saved.decision`` may be replaced while serving.
        items: Its scored pictures or clips.
        decoding: Where files are decoded; shared by all runs.
        batching: Where models compute; shared by all runs.
        metrics: Told what came of each input.
    """

    name: str
    directory: RunDirectory
    predictor: Predictor
    items: Items
    decoding: Decoding
    batching: Batching
    metrics: Metrics

    @property
    def decision(self) -> Decision:
        """Return how yes is said now."""
        return self.predictor.saved.decision

    @property
    def takes_clips(self) -> bool:
        """Return whether the model takes clips, not pictures."""
        return self.predictor.saved.preprocessing.frames is not None

    async def predict(self, uploads: Sequence[Upload | OwnExample]) -> list[Row]:
        """Return a row for every upload, in their order; those refused say why.

        Probabilities are, to the last bit, those that ``finelens predict`` writes for the file.

        Raises:
            Refusal: If the queue has no room for them.
        """
        with self.batching.places(len(uploads)) as places:
            found = await asyncio.gather(*(self._find(upload, places) for upload in uploads))
        rows = self._rows(uploads, found)
        for row in rows:
            outcome = "predicted" if row.error is None else row.error.type.rpartition(":")[2]
            self.metrics.inputs.labels(self.name, outcome).inc()
        return rows

    async def view(self, upload: Upload | OwnExample) -> tuple[Tensor, str | None]:
        """Return the network's view of an upload, uint8 (C, S, S), or (T, C, S, S) of a clip.

        With it what a person should know of a clip's file, such as that it is cut off.

        Raises:
            Refusal: If it is refused, or cannot be decoded.
        """
        if upload.problem is not None:
            raise Refusal("file-too-large", upload.problem.detail)
        preprocessing = self.predictor.saved.preprocessing
        if isinstance(upload, OwnExample):
            job = OwnView(upload.place.path, upload.place.span, preprocessing)
        else:
            job = View(str(upload.path), preprocessing)
        packed = await asyncio.wrap_future(self.decoding.submit(job))
        view, note = unpack_view(packed, preprocessing)
        return torch.from_numpy(view), note

    def info(self, runs: Sequence[str]) -> ModelInfo:
        """Return what there is to know of the model; ``runs`` are the names of all."""
        saved = self.predictor.saved
        thresholds = saved.decision.thresholds or (None,) * saved.task.num_classes
        return ModelInfo(
            run=self.name,
            runs=list(runs),
            task=str(saved.task.kind),
            medium="clips" if self.takes_clips else "pictures",
            backbone=saved.classifier.backbone.name,
            num_parameters=saved.classifier.num_parameters,
            classes=[
                ClassInfo(name=name, threshold=threshold)
                for name, threshold in zip(saved.task.classes, thresholds, strict=True)
            ],
            temperature=saved.decision.temperature,
            decision=saved.decision.to_json(),
            preprocessing=saved.preprocessing.to_json(),
            figures={split: self._figures(split) for split in self.items.splits},
        )

    def top(self, class_name: str, *, n: int = 50, split: str | None = None) -> TopItems:
        """Return the n items of the highest probability of a class, from stored scores.

        The order is that of ``finelens top``; the decision is today's.

        Raises:
            DataError: If there is no such class, or no such evaluated split.
        """
        task = self.predictor.saved.task
        k = task.index(class_name)
        split = self.items.split(split)
        scores, names = self.items.scores(split), self.items.names(split)
        readable = np.flatnonzero([error is None for error in scores.errors])
        probabilities_NK = self.decision.probabilities(task, scores.logits_NK[readable])
        decided_N = self.decision.decide(probabilities_NK)[:, k]
        best = np.argsort(-probabilities_NK[:, k], kind="stable")[:n]
        items = [
            Item(
                rank=rank,
                item=self.items.id_of(split, scores.ids[readable[row]]),
                name=names[readable[row]],
                probability=float(probabilities_NK[row, k]),
                is_positive=_answer(float(scores.targets_NK[readable[row], k])),
                is_decided=bool(decided_N[row]),
            )
            for rank, row in enumerate(best, start=1)
        ]
        return TopItems(run=self.name, split=split, class_name=class_name, items=items)

    async def thumbnail(self, item: str, *, longest_px: int, is_moving: bool = False) -> bytes:
        """Return an item as an encoded picture, see ``draw_thumbnail``.

        Raises:
            Refusal: If there is no such item, or its file cannot be read any more.
        """
        # the first time, scores are read
        place = await run_in_threadpool(self.items.place, item)
        if place is None:
            raise Refusal("not-found", "no item of this run has this id; ids last until a restart")
        job = Thumbnail(place.path, place.span, place.is_clip, longest_px, is_moving)
        try:
            return await asyncio.wrap_future(self.decoding.submit(job))
        except Refusal as refusal:
            raise Refusal("not-found", f"the item cannot be shown: {refusal.detail}") from refusal

    async def _find(self, upload: Upload | OwnExample, places: Places) -> _Found:
        try:
            view, note = await self.view(upload)
        except Refusal as refusal:
            places.gone()
            return _Found(upload.problem or refusal.problem)
        logits_K = await asyncio.wrap_future(places.submit(self.predictor, view))
        if not np.isfinite(logits_K).all():
            detail = "the model's scores are not finite: training diverged"
            return _Found(problem("model-failed", detail))
        return _Found(logits_K, note)

    def _rows(self, uploads: Sequence[Upload | OwnExample], found: Sequence[_Found]) -> list[Row]:
        task = self.predictor.saved.task
        unknown_K = np.full(task.num_classes, np.nan, dtype=np.float32)
        answers = [one.answer for one in found]
        problems = [one if isinstance(one, Problem) else None for one in answers]
        scores = Scores(
            ids=tuple(str(index) for index in range(len(uploads))),
            paths=tuple(upload.name for upload in uploads),
            logits_NK=np.stack([unknown_K if isinstance(one, Problem) else one for one in answers]),
            targets_NK=np.stack([unknown_K] * len(uploads)),
            errors=tuple(None if one is None else one.detail for one in problems),
            task=task,
        )
        # the very table that `finelens predict` writes
        table = predictions_table(scores, self.decision)
        return [
            Row(
                index=index,
                name=upload.name,
                labels=row["labels"],
                probabilities=None
                if error
                else {name: row[f"{PROBABILITY}{name}"] for name in task.classes},
                note=one.note,
                error=error,
            )
            for index, (upload, row, one, error) in enumerate(
                zip(uploads, table.iter_rows(named=True), found, problems, strict=True)
            )
        ]

    def _figures(self, split: str) -> dict[str, Any]:
        metrics = read_json(self.directory.evaluation(split) / "metrics.json")
        return {name: metrics[name] for name in (*_FIGURES, *_SINGLE_FIGURES) if name in metrics}


def _answer(target: float) -> bool | None:
    return None if np.isnan(target) else bool(target == 1)
