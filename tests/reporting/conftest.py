"""Runs of the true on-disk format, made of synthetic scores and small real pictures."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from finelens.evaluation.evaluate import evaluate, write_evaluation
from finelens.evaluation.scores import Scores
from finelens.evaluation.thresholds import choose_decision
from finelens.runs.directory import RunDirectory, create_run
from finelens.runs.log import MetricsLog
from finelens.task import Task, TaskKind

CLASSES = ("<u>ball</u>", "car & cat", "dog")


def make_scores(folder, task, *, num_examples, seed, prefix):
    generator = np.random.default_rng(seed)
    targets_NK = np.zeros((num_examples, task.num_classes), dtype=np.float32)
    truth = np.arange(num_examples) % task.num_classes
    targets_NK[np.arange(num_examples), truth] = 1
    if task.is_multi_label:
        targets_NK[::4, 0] = 1
        targets_NK[3, 1] = np.nan
    noise_NK = generator.normal(size=targets_NK.shape)
    logits_NK = (3 * np.nan_to_num(targets_NK) - 1.5 + noise_NK).astype(np.float32)
    paths = []
    for n in range(num_examples):
        path = folder / f"{prefix}{n:03}.jpg"
        pixels = generator.integers(0, 255, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return Scores(
        ids=tuple(f"{prefix}{n:03}.jpg" for n in range(num_examples)),
        paths=tuple(paths),
        logits_NK=logits_NK,
        targets_NK=targets_NK,
        errors=(None,) * num_examples,
        task=task,
    )


def write_log(path, metric, *, probe=0.7):
    log = MetricsLog(path)
    log.write({metric: probe}, step=0, epoch=0, phase="probe", split="val")
    for epoch, phase in ((1, "warm <up>"), (2, "fine-tune"), (3, "fine-tune")):
        at = {"step": epoch * 5, "epoch": epoch, "phase": phase}
        log.write({"loss": 1 / epoch, "learning_rate": 0.1 / epoch}, split="train", **at)
        log.write({"loss": 1.2 / epoch, metric: 0.6 + epoch / 20}, split="val", **at)


@pytest.fixture
def make_run(tmp_path):
    """Return a function that makes a complete run and returns its directory."""

    def make(
        name="run", *, kind=TaskKind.MULTI_LABEL, classes=CLASSES, splits=("val", "test"), seed=0,
        num_examples=24, summary=None, scores=None, recipe=None, frames=None,
        groups=None,
    ) -> RunDirectory:  # fmt: skip
        task = Task(kind, classes)
        run = create_run(tmp_path / name)
        pictures = tmp_path / f"{name}-pictures"
        pictures.mkdir()
        scored = {
            split: (scores or {}).get(split)
            or make_scores(pictures, task, num_examples=num_examples, seed=seed, prefix=f"{split}-")
            for split in splits
        }
        if groups is not None:
            scored = {split: replace(one, groups=tuple(groups)) for split, one in scored.items()}
        decision = choose_decision(scored[splits[0]], split_name=splits[0])
        for split, of_split in scored.items():
            evaluation = evaluate(of_split, decision, split=split, resamples=20)
            write_evaluation(run.evaluation(split), evaluation, of_split, decision)
        metric = "mean_average_precision" if task.is_multi_label else "accuracy"
        write_log(run.metrics_log, metric)
        written = {"description": "<script>alert(1)</script>"} | (recipe or {})
        run.recipe.write_text(yaml.safe_dump(written))
        contents = {
            run.environment: {"manifest_sha256": "ab", "versions": {"torch": "2.9"}},
            run.summary: {
                "probe": {metric: 0.7}, "best": {metric: {"value": 0.75, "epoch": 3}},
                "num_bad_files": 0, "bad_files": {}, "training_minutes": 1.5,
                "num_parameters": 1_234_567, "num_trainable_parameters": 1_000_000,
                "samples_per_second": 50.0, "seconds_per_picture": 0.01, "stopped": "done",
            } | (summary or {}),
            run.model / "model.json": {"backbone": "resnet18"},
            run.model / "classes.json": {"task": str(kind), "classes": list(classes)},
            run.model / "preprocessing.json": {"size": 64, "frames": frames, "stride": None},
            run.model / "decision.json": decision.to_json(),
        }  # fmt: skip
        run.model.mkdir()
        for path, content in contents.items():
            path.write_text(json.dumps(content))
        rows = {"split": ["train", "train", "test"], "labels": [["dog"], ["dog", classes[0]], None]}
        pl.DataFrame(rows).write_parquet(run.manifest)
        return run

    return make
