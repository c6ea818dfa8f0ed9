"""The start: a head fitted to the frozen backbone's features, and what it already reaches."""

from __future__ import annotations

import numpy as np
import torch

from finelens.evaluation.scores import Scores
from finelens.models.classifier import Classifier
from finelens.training.features import KeptFeatures
from finelens.training.forecast import Pace
from finelens.training.probe import Probe, fit_probe
from finelens.training.profile import FITTING, Profile
from finelens.training.setting import Setting


def start_from_probe(setting: Setting, features: KeptFeatures, profile: Profile) -> Scores:
    """Set the head to a convex probe of the frozen features; return its validation scores.

    The first half of LP-FT (Kumar et al., "Fine-Tuning can Distort Pretrained Features and
    Underperform Out-of-Distribution", ICLR 2022): fine-tuning then begins from a head that
    fits, and leaves the features whole.

    Args:
        setting: The run's.
        features: The run's.
        profile: Is told what each part took.
    """
    train, val = setting.manifest.of_split("train"), setting.manifest.of_split("val")
    pace = Pace(train.num_examples + val.num_examples)
    [features_NP], [val_features_MP] = (
        features.extract(split, for_probe=True, pace=pace, work="probe")
        for split in ("train", "val")
    )
    with setting.progress.stage("fitting the probe", 1) as advance, profile.part(FITTING):
        probe = fit_probe(
            np.array(features_NP),
            train.targets(),
            np.array(val_features_MP),
            val.targets(),
            task=setting.task,
        )
        advance(1, "")
    _set_head(setting.classifier, probe)
    return Scores(
        ids=tuple(val.ids),
        paths=tuple(val.paths),
        logits_NK=(val_features_MP @ probe.weight_KF.T + probe.bias_K).astype(np.float32),
        targets_NK=val.targets(),
        errors=(None,) * val.num_examples,
        task=setting.task,
    )


def _set_head(classifier: Classifier, probe: Probe) -> None:
    last = classifier.head_output
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(probe.weight_KF))
        last.bias.copy_(torch.from_numpy(probe.bias_K))
