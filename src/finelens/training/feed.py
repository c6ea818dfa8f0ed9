"""The feed: what a phase's updates read, what they go through, and what judges them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from finelens.data.loader import Loader
from finelens.evaluation.scores import Scores
from finelens.models.freeze import apply_freeze
from finelens.progress import spoken_duration
from finelens.training.averaging import WeightAverage
from finelens.training.features import KeptFeatures
from finelens.training.forecast import Pace
from finelens.training.phases import Phase
from finelens.training.profile import Profile
from finelens.training.setting import Setting
from finelens.training.two_passes import UpdateRule

_FEW_VIEWS = 4


@dataclass(frozen=True)
class Feed:
    """What a phase's updates read, what they go through, and what judges them.

    Attributes:
        setting: The run's.
        loader: Gives pictures, or what the frozen backbone made of them.
        model: What is trained of the classifier: all of it, or its tail alone.
        rule: How what the loader gives becomes an update of the model.
        val_features_MX: Of the validation pictures, where the backbone that is judged is frozen.
    """

    setting: Setting
    loader: Loader
    model: nn.Module
    rule: UpdateRule
    val_features_MX: NDArray[np.float32] | None = None

    @property
    def reads_pictures(self) -> bool:
        """Return whether the backbone works on every batch."""
        return self.rule.preprocessing is not None

    def score_val(self) -> Scores:
        """Return the scores of the validation pictures by the classifier as it is."""
        if self.val_features_MX is None:
            return self.setting.score("val")
        return self.setting.score_features("val", self.val_features_MX)


def keeps_features(setting: Setting, phase: Phase) -> bool:
    """Return whether a phase trains the tail on features that are computed once.

    That depends on the recipe and the data alone: up to rounding its numbers are those of a
    backbone that works on each batch anew. What the phase freezes is frozen on return.

    Raises:
        ModelError: If a layer to freeze is unknown.
    """
    apply_freeze(setting.classifier, freeze=phase.freeze)
    if not setting.classifier.has_fixed_features or setting.accelerator.num_processes > 1:
        return False
    num_train, train = setting.manifest.of_split("train").num_examples, setting.recipe.train
    num_batches = train.batches_per_epoch
    seen = num_train if num_batches is None else num_batches * train.batch_size
    return phase.num_views is not None and phase.num_views * num_train <= phase.epochs * seen


def build_feed(
    setting: Setting,
    phase: Phase,
    rule: UpdateRule,
    *,
    average: WeightAverage | None,
    keeps: bool,
    profile: Profile,
) -> Feed:
    """Return a phase's feed; where it keeps features, they are computed now.

    Args:
        setting: The run's; its classifier is frozen as the phase says.
        phase: The phase that begins or goes on.
        rule: Of pictures.
        average: The moving average that epochs are judged by, if there is one.
        keeps: As ``keeps_features`` says.
        profile: Is told what computing features takes.

    Raises:
        DataError: If a picture cannot be read any more.
        RunError: If the disk has no room for features.
    """
    features = KeptFeatures(setting, profile)
    if phase.num_views is None or not keeps:
        features.forget()
        if setting.classifier.has_fixed_features and phase.epochs > _FEW_VIEWS:
            setting.progress.say(
                f"{phase.name}: the frozen backbone sees new views in every epoch; `views: "
                f"{_FEW_VIEWS}` in this phase would have it see {_FEW_VIEWS} of a picture, once"
            )
        loader = setting.loader("train", augmentation=phase.augmentation, num_views=phase.num_views)
        return Feed(setting, loader, _shared_model(setting), rule)
    pace = Pace(phase.num_views * setting.manifest.of_split("train").num_examples)

    def tell(num_done: int) -> None:
        left_s = pace.after(num_done)
        if left_s is not None:
            setting.progress.say(
                f"{phase.name}: the backbone is frozen, its features are computed once: about "
                f"{spoken_duration(left_s)}"
            )

    features_VNX = features.of("train", phase.augmentation, num_views=phase.num_views, watch=tell)
    val_features_MX = None
    # an average may be of a backbone that was not frozen yet
    if average is None or average.is_of("backbone."):
        [val_features_MX] = features.of("val")
    return Feed(
        setting,
        setting.feature_loader(features_VNX),
        setting.classifier.tail,
        replace(rule, preprocessing=None),
        val_features_MX,
    )


def _shared_model(setting: Setting) -> nn.Module:
    """Return the classifier, wrapped where several processes train it."""
    accelerator, classifier = setting.accelerator, setting.classifier
    if accelerator.num_processes == 1:
        return classifier
    model = accelerator.prepare(classifier)
    # accelerate puts autocast around the classifier's own forward; scoring calls parts of the
    # same classifier, its head in fp32, and has an autocast of its own (``Passes``)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return model
