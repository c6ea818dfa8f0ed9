"""The feed: what a phase's updates read, what they go through, and what judges them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from finelens.data.loader import Loader
from finelens.data.media import counted
from finelens.data.one_thread import one_thread
from finelens.evaluation.scores import Scores
from finelens.models.folding import Folding, fold
from finelens.models.freeze import set_training
from finelens.models.precision import depthwise_in_fp32, is_depthwise
from finelens.training.averaging import WeightAverage
from finelens.training.features import KeptFeatures
from finelens.training.forecast import Pace
from finelens.training.phases import Phase
from finelens.training.profile import Profile
from finelens.training.setting import Setting
from finelens.training.two_passes import UpdateRule

_FEW_VIEWS = 4
_SMALL_TAIL = 2_000_000
_BACKBONE = "backbone."


@dataclass(frozen=True)
class Feed:
    """What a phase's updates read, what they go through, and what judges them.

    Attributes:
        setting: The run's.
        loader: Gives pictures, or what the frozen backbone made of them.
        model: What batches go through: the classifier, or its tail alone.
        rule: How what the loader gives becomes an update of the model.
        folding: Batch norms that are part of convolutions while updates are computed.
        val_features_MX: Of the validation pictures; None: they are scored anew, as where an average
            is judged whose backbone is not the frozen one.
    """

    setting: Setting
    loader: Loader
    model: nn.Module
    rule: UpdateRule
    folding: Folding | None = None
    val_features_MX: NDArray[np.float32] | None = None

    @property
    def reads_pictures(self) -> bool:
        """Return whether the backbone works on every batch."""
        return self.rule.preprocessing is not None

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Enter what updates are computed in.

        A small tail's on a CPU go in one thread: two that wait for each other take two to a
        hundred times as long where another program is at work, and save little where none is.
        """
        is_cpu = self.setting.accelerator.device.type == "cpu"
        with ExitStack() as stack:
            if is_cpu and self._is_small_tail:
                stack.enter_context(one_thread())
            if self.folding is not None:
                # first: it takes the place of what layers compute by, the others wrap it
                stack.enter_context(self.folding.applied())
            if is_cpu and self.setting.precision == "bf16":
                stack.enter_context(depthwise_in_fp32(self.model))
            yield

    @property
    def _is_small_tail(self) -> bool:
        num_weights = sum(weight.numel() for weight in self.model.parameters())
        return not self.reads_pictures and num_weights <= _SMALL_TAIL

    def score_val(self) -> Scores:
        """Return the scores of the validation pictures by the classifier as it is."""
        if self.val_features_MX is None:
            return self.setting.score("val")
        return self.setting.score_features("val", self.val_features_MX)


def keeps_features(setting: Setting, phase: Phase) -> bool:
    """Return whether a phase trains the tail on features that are computed once.

    It does where that is no more work for the backbone, and one process trains; ``data.cache:
    false`` keeps none. Up to rounding its numbers are those of a backbone that works on each
    batch anew.

    Args:
        setting: The run's; its classifier is frozen as the phase says.
        phase: The phase.
    """
    return phase.num_views is not None and _may_keep(setting, phase, phase.num_views)


def _may_keep(setting: Setting, phase: Phase, num_views: int) -> bool:
    if not setting.classifier.has_fixed_features or setting.accelerator.num_processes > 1:
        return False
    num_train, train = setting.manifest.of_split("train").num_examples, setting.recipe.train
    num_batches = train.batches_per_epoch
    seen = num_train if num_batches is None else num_batches * train.batch_size
    return setting.recipe.data.cache is not False and num_views * num_train <= phase.epochs * seen


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

    The classifier is left in the mode of training where it reads pictures.

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
    features, num_views = KeptFeatures(setting, profile), phase.num_views
    if average is not None:
        average.leave_out(None)
    if num_views is None or not keeps:
        if not setting.classifier.has_fixed_features:
            features.forget()
        _say_why_none_are_kept(setting, phase)
        loader = setting.loader("train", augmentation=phase.augmentation, num_views=num_views)
        # sharing brings the first process's statistics to all: they are what is folded
        model = _shared_model(setting)
        return Feed(setting, loader, model, rule, _fold(setting, phase, loader.batch_size))
    num_train, num_val = (
        setting.manifest.of_split(split).num_examples for split in ("train", "val")
    )
    media = "pictures" if setting.preprocessing.frames is None else "clips"
    views = "," if num_views == 1 else f", {num_views} views of each,"
    setting.progress.say(
        f"{phase.name}: the backbone is frozen: updates go by its features of "
        f"{counted(num_train, media)}{views} computed once"
    )
    pace, work = Pace(num_views * num_train + num_val), f"{phase.name}: features"
    features_VNX = features.extract(
        "train", phase.augmentation, num_views=num_views, pace=pace, work=work
    )
    val_features_MX = None
    # an average may be of a backbone that was not frozen yet
    if average is None or average.matches(_BACKBONE):
        [val_features_MX] = features.extract("val", pace=pace, work=work)
        if average is not None:
            average.leave_out(_BACKBONE)
    return Feed(
        setting,
        setting.feature_loader(features_VNX),
        setting.classifier.tail,
        replace(rule, preprocessing=None),
        val_features_MX=val_features_MX,
    )


def _say_why_none_are_kept(setting: Setting, phase: Phase) -> None:
    if phase.num_views is None and _may_keep(setting, phase, 2 * _FEW_VIEWS):
        setting.progress.say(
            f"{phase.name}: the frozen backbone sees new views in every epoch; with `views: "
            f"{_FEW_VIEWS}` in this phase it would see {_FEW_VIEWS} of each picture, once"
        )
    if phase.num_views is not None and phase.augmentation.has_chance:
        setting.progress.say(
            f"{phase.name}: {counted(phase.num_views, 'views')} of a picture come in turn; "
            f"their features are not kept: {_hindrance(setting)}"
        )


def _hindrance(setting: Setting) -> str:
    if not setting.classifier.has_fixed_features:
        return "the phase trains more than the head (freeze: backbone)"
    if setting.accelerator.num_processes > 1:
        return "several processes train"
    if setting.recipe.data.cache is False:
        return "data.cache is false"
    return "its epochs see no picture more often"


def _fold(setting: Setting, phase: Phase, batch_size: int) -> Folding:
    set_training(setting.classifier)
    takes_clips = setting.classifier.backbone.takes_clips
    frames = 1 if takes_clips else setting.preprocessing.frames or 1
    num_examples = batch_size * frames // setting.accelerator.num_processes
    is_mixed_on_cpu = setting.accelerator.device.type == "cpu" and setting.precision == "bf16"
    return fold(
        setting.classifier,
        size=phase.augmentation.preprocessing.size,
        num_examples=num_examples,
        # in bf16 the bias is added by itself, which takes a CPU as long as the norm did
        may_fold=is_depthwise if is_mixed_on_cpu else lambda _: True,
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
