"""The start: a head fitted to the frozen backbone's features, and what it already reaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from finelens.evaluation.scores import Scores
from finelens.models.classifier import Classifier
from finelens.progress import spoken_duration
from finelens.training.features import extract_features, forget_features
from finelens.training.forecast import Pace
from finelens.training.probe import Probe, fit_probe
from finelens.training.profile import FITTING, Profile
from finelens.training.setting import Setting


def start_from_probe(setting: Setting, profile: Profile) -> Scores:
    """Set the head to a convex probe of the frozen features; return its validation scores.

    The first half of LP-FT (Kumar et al., "Fine-Tuning can Distort Pretrained Features and
    Underperform Out-of-Distribution", ICLR 2022): fine-tuning then begins from a head that
    fits, and leaves the features whole.

    Args:
        setting: The run's.
        profile: Is told what each part took.
    """
    train, val = setting.manifest.of_split("train"), setting.manifest.of_split("val")
    pace = Pace(train.num_examples + val.num_examples)
    features_NF = _features(setting, "train", pace, profile)
    val_features_MF = _features(setting, "val", pace, profile)
    with setting.progress.stage("fitting the probe", 1) as advance, profile.part(FITTING):
        probe = fit_probe(
            features_NF, train.targets(), val_features_MF, val.targets(), task=setting.task
        )
        advance(1, "")
    _set_head(setting.classifier, probe)
    for split in ("train", "val"):
        forget_features(_path(setting, split))
    return Scores(
        ids=tuple(val.ids),
        paths=tuple(val.paths),
        logits_NK=(val_features_MF @ probe.weight_KF.T + probe.bias_K).astype(np.float32),
        targets_NK=val.targets(),
        errors=(None,) * val.num_examples,
        task=setting.task,
    )


def _features(setting: Setting, split: str, pace: Pace, profile: Profile) -> np.ndarray:
    num_examples = setting.manifest.of_split(split).num_examples
    with setting.progress.stage(f"features of {split}", num_examples) as advance:

        def advance_and_tell(num_done: int, note: str) -> None:
            left_s = pace.after(num_done)
            if left_s is not None:
                setting.progress.say(f"probe: about {spoken_duration(left_s)}")
            advance(num_done, note)

        try:
            return extract_features(
                setting.classifier,
                setting.loader(split),
                setting.passes,
                num_examples=num_examples,
                path=_path(setting, split),
                profile=profile,
                advance=advance_and_tell,
            )
        finally:
            # training needs the memory
            setting.passes.release()


def _path(setting: Setting, split: str) -> Path:
    # several processes each keep their own
    name = f"features-{split}-{setting.accelerator.process_index}.npy"
    return setting.run.checkpoints / name


def _set_head(classifier: Classifier, probe: Probe) -> None:
    last = classifier.head_output
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(probe.weight_KF))
        last.bias.copy_(torch.from_numpy(probe.bias_K))
