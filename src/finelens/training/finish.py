"""The finish: best weights, a decision chosen on validation, scores, and the model folder."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from finelens.decision import Decision
from finelens.evaluation.decisions import write_decisions
from finelens.evaluation.evaluate import evaluate, write_evaluation
from finelens.evaluation.predictions import predictions_table
from finelens.evaluation.scores import Scores, write_scores
from finelens.evaluation.thresholds import choose_decision
from finelens.models.folder import SavedModel, save_model
from finelens.models.freeze import apply_freeze
from finelens.runs.directory import write_json_atomic
from finelens.runs.log import PROBE_PHASE, read_log
from finelens.training.best import Best
from finelens.training.setting import Setting
from finelens.training.state import TrainingState


def finish(setting: Setting, state: TrainingState) -> None:
    """Write a trained run's evaluations, summary and model; the model comes last.

    A run killed while finishing is therefore still incomplete, and finishes when resumed.
    """
    # only the first process writes the best weights, and it may still be at it
    setting.accelerator.wait_for_everyone()
    classifier = setting.classifier
    classifier.load_state_dict(state.best.load(state.best.metrics[0]))
    classifier.drop_auxiliary()
    started = time.perf_counter()
    val = setting.score("val")
    seconds_per_picture = (time.perf_counter() - started) / val.num_examples
    decision = _choose(setting, val)
    scored = {"val": val}
    if "test" in setting.manifest.splits:
        scored["test"] = setting.score("test")
    if not setting.accelerator.is_main_process:
        return
    state.best.link_by_metric()
    for split, scores in scored.items():
        _evaluate(setting, split, scores, decision)
    summary = _summary(setting, state) | {"seconds_per_picture": seconds_per_picture}
    write_json_atomic(setting.run.summary, summary)
    model = SavedModel(
        classifier, setting.task, setting.preprocessing, decision,
        precision=setting.recipe.train.precision,
    )  # fmt: skip
    save_model(setting.run.model, model)


def _choose(setting: Setting, val: Scores) -> Decision:
    decide = setting.recipe.decide
    return choose_decision(
        val,
        goal=decide.goal,
        scope=decide.scope,
        threshold=decide.threshold,
        calibrate=decide.calibrate,
        min_positives=decide.min_positives,
        split_name="val",
    )


def _evaluate(setting: Setting, split: str, scores: Scores, decision: Decision) -> None:
    if not scores.labelled().num_examples:
        _hand_in(setting, split, scores, decision)
        return
    evaluation = evaluate(scores, decision, split=split, seed=setting.recipe.seed)
    write_evaluation(setting.run.evaluation(split), evaluation, scores, decision)


def _hand_in(setting: Setting, split: str, scores: Scores, decision: Decision) -> None:
    """Write what is known of pictures without labels: scores, and the decisions as an array."""
    folder = setting.run.evaluation(split)
    write_scores(folder / "scores.parquet", scores, decision)
    write_decisions(folder / "decisions.npy", predictions_table(scores, decision))
    num_errors = sum(error is not None for error in scores.errors)
    unreadable = f" ({num_errors} unreadable pictures: rows of zeros)" if num_errors else ""
    setting.progress.say(
        f"{split} has no labels: its {scores.num_examples} x {scores.task.num_classes} decisions "
        f"are in {folder / 'decisions.npy'} and .csv{unreadable}"
    )


def _summary(setting: Setting, state: TrainingState) -> dict[str, Any]:
    return {
        "probe": _probe_metrics(setting),
        "best": {name: _best(best) for name, best in state.best.best.items()},
        "num_updates": state.position.update,
        "stopped": state.stopped,
        "training_minutes": state.seconds / 60,
        "samples_per_second": state.pictures / state.update_seconds if state.pictures else None,
        "num_parameters": setting.classifier.num_parameters,
        "num_trainable_parameters": _num_trained(setting),
        "num_bad_files": len(setting.bad_files),
        "bad_files": dict(setting.bad_files),
    }


def _num_trained(setting: Setting) -> int:
    """Return how many weights a phase trained, or the probe where there is none."""
    classifier, trained = setting.classifier, set[nn.Parameter]()
    for freeze in [phase.freeze for phase in setting.recipe.phases] or ["backbone"]:
        apply_freeze(classifier, freeze=freeze)
        trained.update(weight for weight in classifier.parameters() if weight.requires_grad)
    return sum(weight.numel() for weight in trained)


def _best(best: Best) -> dict[str, float | int | None]:
    return {"value": None if math.isnan(best.value) else best.value, "epoch": best.epoch}


def _probe_metrics(setting: Setting) -> Mapping[str, float] | None:
    rows = [row for row in read_log(setting.run.metrics_log) if row["phase"] == PROBE_PHASE]
    return {row["name"]: row["value"] for row in rows} or None
