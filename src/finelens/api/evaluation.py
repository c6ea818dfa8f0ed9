"""The verb that scores a split of a run's own, or other data: evaluate."""

from __future__ import annotations

import re
from pathlib import Path

from finelens.api.run_data import other_manifest, own_manifest
from finelens.api.thresholds import refresh_evaluations
from finelens.data.manifest import SPLITS, Manifest
from finelens.data.overlap import find_overlap
from finelens.errors import ConfigError, DataError, typed
from finelens.evaluation.evaluate import Evaluation, write_evaluation
from finelens.evaluation.evaluate import evaluate as evaluate_scores
from finelens.evaluation.other_data import OtherData
from finelens.predictor import Predictor
from finelens.progress import Progress
from finelens.reporting.report import write_report
from finelens.runs.directory import RunDirectory, open_run, read_json

_NAME = re.compile(r"\w[\w.-]*")
_OUTSIDE_NAMES = re.compile(r"[^\w.-]+")


def evaluate(
    run: str | Path,
    *,
    split: str | None = None,
    data: str | Path | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a split or other data, write the evaluation and the report; return the evaluation.

    A split of the run's own goes to ``evaluation/<split>/``. Other data go to
    ``evaluation/<name>/``, and ``top``, ``compare``, the server and the report know them by that
    name; ``metrics["other_data"]`` says how many of them the run was trained on.

    Args:
        run: A complete run.
        split: ``train``, ``val`` or ``test``; None takes test where it has labels, else val.
        data: Other pictures than the run's own; with neither splits nor ``split`` given, all
            of them are scored.
        name: What the evaluation of other data is called; None: ``other-`` with the name of
            their folder or file, and with ``split`` where it is given.
        progress: Who watches.

    Raises:
        ConfigError: If a name is given without data, cannot be one, or is that of other data
            than these.
        DataError: If the split has no labelled picture, or the data's classes are not the
            run's.
    """
    directory = open_run(run)
    if data is None and name is not None:
        raise ConfigError(f'--name "{name}" is for other data; give --data, or leave it out')
    named = None if data is None else _name(directory, Path(data), split, name)
    predictor = Predictor.load(directory.model)
    own = own_manifest(directory, predictor.saved.task)
    manifest = own
    if data is not None:
        manifest = other_manifest(directory, predictor.saved, Path(data), progress)
    chosen = split or _judged_split(manifest, is_own=data is None)
    part = manifest if chosen is None else manifest.of_split(chosen)
    _check_labels(part, run, chosen, is_own=data is None)
    other_data = None if data is None else _other_data(part, own, Path(data), chosen)
    scores = predictor.score(part, progress=progress)
    decision = predictor.saved.decision
    called = named or chosen or "test"
    evaluation = evaluate_scores(scores, decision, split=called, other_data=other_data)
    write_evaluation(directory.evaluation(called), evaluation, scores, decision)
    refresh_evaluations(directory)
    write_report(directory)
    return evaluation


def _judged_split(manifest: Manifest, *, is_own: bool) -> str | None:
    """Return the split that is judged unless another is asked for; None: there are none."""
    if not manifest.splits:
        return None
    has_test = bool(manifest.splits.get("test"))
    # the labels of a run's own test list may be kept back, as A2D's are
    if has_test and is_own and not manifest.of_split("test").has_labels:
        return "val"
    return "test" if has_test else "val"


def _check_labels(part: Manifest, run: str | Path, split: str | None, *, is_own: bool) -> None:
    if part.has_labels:
        return
    pictures = f"--split {split}" if is_own else "PICTURES"
    of_split = f" of {split}" if split else ""
    raise DataError(
        f"the {part.num_examples} {part.media}{of_split} have no labels to be held against; use "
        f"`finelens predict {typed(run)} {pictures} --decisions {split or 'decisions'}.npy`"
    )


def _other_data(part: Manifest, own: Manifest, data: Path, split: str | None) -> OtherData:
    overlap = find_overlap(part, own)
    return OtherData(
        path=str(data.resolve()),
        split=split,
        num_examples=part.num_examples,
        num_train=overlap.num_train,
        num_val=overlap.num_val,
        num_gone=overlap.num_gone,
    )


def _name(run: RunDirectory, data: Path, split: str | None, name: str | None) -> str:
    """Return what the evaluation of other data is called; it never replaces another's."""
    place = data.resolve()
    if name is None:
        stem = place.name if place.is_dir() else place.stem
        words = _OUTSIDE_NAMES.sub("-", stem).strip("-.") or "data"
        name = f"other-{words}" + (f"-{split}" if split else "")
    elif not _NAME.fullmatch(name) or name in SPLITS:
        raise ConfigError(
            f'--name "{name}" cannot be the name of other data; take letters, digits, dots and '
            f"dashes, and none of {', '.join(SPLITS)}"
        )
    metrics = run.evaluation(name) / "metrics.json"
    known = OtherData.of_metrics(read_json(metrics)) if metrics.is_file() else None
    if known is not None and known.path != str(place):
        raise ConfigError(
            f"{metrics.parent} is the evaluation of {known.path}; give this one a --name of its own"
        )
    return name
