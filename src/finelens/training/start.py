"""The start: a head fitted to the frozen backbone's features, and what it already reaches."""

from __future__ import annotations

import torch

from finelens.evaluation.scores import Scores
from finelens.models.classifier import Classifier
from finelens.progress import spoken_duration
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

    def tell(num_done: int) -> None:
        left_s = pace.after(num_done)
        if left_s is not None:
            setting.progress.say(f"probe: about {spoken_duration(left_s)}")

    [kept_NX] = features.of("train", watch=tell)
    [val_kept_MX] = features.of("val", watch=tell)
    with setting.progress.stage("fitting the probe", 1) as advance, profile.part(FITTING):
        probe = fit_probe(
            setting.passes.pooled(kept_NX),
            train.targets(),
            setting.passes.pooled(val_kept_MX),
            val.targets(),
            task=setting.task,
        )
        advance(1, "")
    _set_head(setting.classifier, probe)
    return setting.score_features("val", val_kept_MX)


def _set_head(classifier: Classifier, probe: Probe) -> None:
    last = classifier.head_output
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(probe.weight_KF))
        last.bias.copy_(torch.from_numpy(probe.bias_K))
