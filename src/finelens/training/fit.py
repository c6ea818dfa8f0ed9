"""The fit: a recipe's phases run from the first epoch, or a checkpoint, to the last."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

from finelens.data.media import counted
from finelens.data.workers import count_cores
from finelens.errors import ConfigError, did_you_mean
from finelens.evaluation.evaluate import main_metric, quick_metric_names
from finelens.models.freeze import apply_freeze, set_training
from finelens.progress import Advance, spoken_duration
from finelens.runs.log import PROBE_PHASE, MetricsLog
from finelens.training.agreement import agreement_names
from finelens.training.averaging import WeightAverage
from finelens.training.best import BestWeights
from finelens.training.features import KeptFeatures
from finelens.training.feed import Feed, build_feed, keeps_features
from finelens.training.forecast import Forecast
from finelens.training.interruption import Interrupted
from finelens.training.judging import judged_weights, measure
from finelens.training.loop import learning_rate, train_epoch
from finelens.training.losses import build_loss
from finelens.training.optim import build_optimizer
from finelens.training.other_programs import Watch
from finelens.training.phases import Phase, build_phases
from finelens.training.profile import Profile
from finelens.training.randomness import fixed_cudnn, reseed_epoch
from finelens.training.resume import Checkpoints
from finelens.training.setting import Setting, fitting_size
from finelens.training.start import start_from_probe
from finelens.training.state import EpochSums, Position, TrainingState
from finelens.training.step import Step, is_one_gpu
from finelens.training.stopping import consider_stopping
from finelens.training.two_passes import UpdateRule

_SAVE_BEFORE_VALIDATION_S = 60.0
"""Validation keeps no state: a kill in it loses no more than it and this."""
_SAVE_AFTER_EPOCH_S = 10.0
"""Epochs on kept features take less time than a large network's state takes to be written."""


class Fit:
    """One training run: its setting, its state and its checkpoints.

    Building it checks all that a recipe can be wrong about, and writes nothing.

    Args:
        setting: The run's.
        profile: Whether it says at the end where the time went.

    Raises:
        ConfigError: If the recipe contradicts the data, or names an unknown augmentation,
            metric or step.
        ModelError: If a layer to freeze is unknown, or a phase's pictures have a size that the
            network does not take.
    """

    def __init__(self, setting: Setting, *, profile: bool = False) -> None:
        recipe = setting.recipe
        accelerator = setting.accelerator
        self.setting = setting
        self._probe_profile = Profile("the probe", is_exact=profile)
        self._features_profile = Profile("the features", is_exact=profile)
        self._profile = Profile(is_exact=profile)
        self._validation_s = 0.0
        self._after_epoch_s = 0.0
        is_alone_on_cpu = accelerator.device.type == "cpu" and accelerator.num_processes == 1
        self._watch = Watch() if is_alone_on_cpu else None
        self._tells_profile = profile
        self.phases = build_phases(
            recipe, setting.preprocessing, partial(fitting_size, setting.classifier.backbone)
        )
        self._keeping: list[bool] = []
        for phase in self.phases:
            apply_freeze(setting.classifier, freeze=phase.freeze)
            self._keeping.append(keeps_features(setting, phase))
        self._forecast = Forecast(
            self.phases,
            num_train=setting.manifest.of_split("train").num_examples,
            num_val=setting.manifest.of_split("val").num_examples,
            keeping=self._keeping,
            is_averaged=recipe.train.ema_decay is not None,
        )
        own_size = setting.classifier.backbone.input_spec.size
        for size in {phase.augmentation.preprocessing.size for phase in self.phases} - {own_size}:
            setting.classifier.check_size(size)
        self.checkpoints = Checkpoints(
            setting.run.checkpoints,
            minutes=recipe.train.checkpoint_minutes,
            is_writer=accelerator.is_main_process,
        )
        _check_metrics(setting)
        targets_NK = setting.manifest.of_split("train").targets()
        self.loss = build_loss(
            recipe.loss, setting.task.kind, targets_NK, device=accelerator.device
        )
        self.rule = UpdateRule(
            loss=self.loss,
            auxiliary_weight=recipe.loss.auxiliary_weight,
            preprocessing=setting.preprocessing,
            task=setting.task,
            threshold=setting.judged_threshold,
            accumulate=recipe.train.accumulate,
            clip_norm=recipe.train.clip_norm,
            channels_last=recipe.train.channels_last,
            seed=None if recipe.train.reseed_each_epoch else recipe.seed,
        )

    def run(self) -> TrainingState:
        """Train to the end of the recipe, from the first epoch or the last checkpoint.

        Returns:
            The last state; its ``best`` gives the weights to keep.

        Raises:
            DataError: If a picture cannot be read any more.
            Interrupted: If the setting's progress raised it; the state is saved.
            RunError: If the checkpoint cannot be read.
        """
        if self.setting.recipe.train.tensorboard:
            self.setting.accelerator.init_trackers("finelens")
        if self.setting.recipe.train.compile and not is_one_gpu(self.setting.accelerator):
            self.setting.progress.say("train.compile is for one CUDA GPU: it does nothing here")
        saved = self.checkpoints.load()
        self.state = self._build_state(0 if saved is None else saved["log_size"])
        self._began = time.perf_counter() - (0.0 if saved is None else saved["seconds"])
        # of the last two checkpoints
        self._best_saved: deque[list[int]] = deque(maxlen=2)
        reseeds = self.setting.recipe.train.reseed_each_epoch
        if saved is None:
            with fixed_cudnn(reseeds):
                self._start()
        else:
            self.state.load_state_dict(saved)
            self._best_saved.append(self._best_epochs)
            self.setting.progress.say(self._going_on())
        optimizer_state = None if saved is None else saved["optimizer"]
        if self._is_between_phases:
            self._begin_next_phase()
            optimizer_state = None
        try:
            with fixed_cudnn(reseeds):
                while self.state.position.phase < len(self.phases) and not self.state.stopped:
                    self._run_phase(self.phases[self.state.position.phase], optimizer_state)
                    optimizer_state = None
        except Interrupted:
            # an advance is always called between two updates
            self._save()
            raise
        KeptFeatures(self.setting, self._features_profile).forget_of_all()
        if self._tells_profile:
            self._tell_profile()
        return self.state

    def _going_on(self) -> str:
        position, sums = self.state.position, self.state.sums
        phases_left = self.phases[position.phase :]
        # after an epoch that ends a phase, the position is still in it
        epoch = phases_left[0].first_epoch + position.epoch + 1 if phases_left else None
        if epoch is None or epoch > self.setting.recipe.num_epochs or self.state.stopped:
            return "training is complete; going on with the last scoring"
        media = "pictures" if self.setting.recipe.input.frames is None else "clips"
        done = f", after {counted(sums.pictures, media)} of it" if sums.pictures else ""
        return f"going on at epoch {epoch} of {self.setting.recipe.num_epochs}{done}"

    def _build_state(self, log_size: int) -> TrainingState:
        setting, train = self.setting, self.setting.recipe.train
        classifier = setting.classifier
        metrics = train.best_by or (main_metric(setting.task),)
        is_writer = setting.accelerator.is_main_process
        return TrainingState(
            classifier=classifier,
            best=BestWeights(setting.run.checkpoints, metrics, is_writer=is_writer),
            log=MetricsLog(setting.run.metrics_log, size=log_size, is_writer=is_writer),
            average=WeightAverage(classifier, train.ema_decay) if train.ema_decay else None,
        )

    def _start(self) -> None:
        """Begin at the probe where the recipe says so, and make the first checkpoint."""
        if self.setting.recipe.model.probe:
            apply_freeze(self.state.classifier, freeze="backbone", statistics=True)
            features = KeptFeatures(self.setting, self._probe_profile)
            scores = start_from_probe(self.setting, features, self._probe_profile)
            if self.state.average:
                self.state.average.restart(self.state.classifier)
            values = measure(self.setting, scores, self.loss)
            self._log(values, split="val", phase=PROBE_PHASE)
            self.state.best.offer(values, epoch=0, weights=self.state.classifier.state_dict())
            self.setting.progress.say(f"probe: {_told(values, self.state.best.metrics)} on val")
        self._save()

    def _run_phase(self, phase: Phase, optimizer_state: dict[str, Any] | None) -> None:
        state, setting = self.state, self.setting
        apply_freeze(state.classifier, freeze=phase.freeze, statistics=phase.freeze_statistics)
        state.optimizer = build_optimizer(
            setting.recipe.optimizer, state.classifier, lr=phase.lr, backbone_lr=phase.backbone_lr
        )
        if optimizer_state is not None:
            state.optimizer.load_state_dict(optimizer_state)
        else:
            average = WeightAverage(state.classifier, None) if phase.average_every else None
            state.phase_average = average
        if setting.cache is not None:
            setting.cache.renew()
        feed = build_feed(
            setting, phase, self.rule,
            average=state.average,
            keeps=self._keeping[state.position.phase],
            profile=self._features_profile,
        )  # fmt: skip
        loader = feed.loader
        step = Step(
            feed.rule,
            feed.model,
            setting.accelerator,
            compiles=setting.recipe.train.compile and feed.reads_pictures,
            batch_size=loader.batch_size,
            num_batches=len(loader) * (phase.epochs - state.position.epoch) - state.position.batch,
            profile=self._profile,
            say=setting.progress.say,
        )
        self._forecast.begin_phase()
        self._after_epoch_s = 0.0
        while state.position.epoch < phase.epochs and not state.stopped:
            self._run_epoch(phase, feed, step)
        if not state.stopped:
            self._begin_next_phase()

    @property
    def _is_between_phases(self) -> bool:
        """Return whether the epoch that ended a phase was the last to be saved."""
        position = self.state.position
        is_over = position.phase == len(self.phases)
        return not is_over and position.epoch == self.phases[position.phase].epochs

    def _begin_next_phase(self) -> None:
        position = self.state.position
        self.state.position = Position(phase=position.phase + 1, update=position.update)

    def _run_epoch(self, phase: Phase, feed: Feed, step: Step) -> None:
        state, setting, loader = self.state, self.setting, feed.loader
        if setting.recipe.train.reseed_each_epoch and state.position.batch == 0:
            reseed_epoch(setting.recipe.seed, phase.first_epoch + state.position.epoch)
        set_training(state.classifier)
        total = loader.num_samples(phase.first_epoch + state.position.epoch)
        with setting.progress.stage(self._title(phase), total) as advance:
            if state.sums.pictures:
                advance(state.sums.pictures, "")
            after_update = self._after_update(advance, phase, total)
            with feed.computing():
                train_epoch(state, phase, loader, step, after_update=after_update)
        began = time.perf_counter()
        if self.checkpoints.age_s > _SAVE_BEFORE_VALIDATION_S:
            self._save()
        self._finish_epoch(phase, feed)
        self._after_epoch_s = time.perf_counter() - began
        self._validation_s += self._after_epoch_s

    def _after_update(
        self, advance: Advance, phase: Phase, epoch_size: int
    ) -> Callable[[int], None]:
        setting = self.setting

        def after_update(num_pictures: int) -> None:
            if self.checkpoints.is_due:
                self._save()
            self._tell_forecast(phase, epoch_size)
            advice = self._watch.advice() if self._watch is not None else None
            if advice is not None:
                setting.progress.say(f"{phase.name}: {advice}")
            advance(num_pictures, f"loss {self.state.sums.noted_loss:.4f}")

        return after_update

    def _tell_forecast(self, phase: Phase, epoch_size: int) -> None:
        left_s = self._forecast.after_update(
            self.state, epoch_size, after_epoch_s=self._after_epoch_s
        )
        if left_s is None:
            return
        stop = self.setting.recipe.stop
        at_most = ", less if it stops early" if stop.patience or stop.target else ""
        self.setting.progress.say(
            f"{phase.name}: about {spoken_duration(left_s)} to the end of the run{at_most}"
        )

    def _tell_profile(self) -> None:
        setting = self.setting
        media = "pictures" if setting.preprocessing.frames is None else "clips"
        lines = [
            line
            for profile in (self._probe_profile, self._features_profile, self._profile)
            for line in profile.told(
                media=media,
                num_workers=setting.num_workers("train"),
                num_cores=count_cores(),
                is_cached=setting.cache is not None,
            )
        ]
        if self._validation_s:
            lines.append(f"profile: {self._validation_s:.1f} s of validating and saving")
        for line in lines or ["profile: nothing was read, so there is nothing to tell"]:
            setting.progress.say(line)

    def _finish_epoch(self, phase: Phase, feed: Feed) -> None:
        """Validate, log, keep the best weights, decide on stopping, and save."""
        state, setting = self.state, self.setting
        epoch = phase.first_epoch + state.position.epoch + 1
        with judged_weights(setting, state, phase, feed.loader):
            values = measure(setting, feed.score_val(), self.loss)
            # not before: a validation that is interrupted begins again
            self._log_epoch(phase, epoch, values)
            state.best.offer(values, epoch=epoch, weights=state.classifier.state_dict())
        state.sums = EpochSums()
        state.position = Position(
            state.position.phase, state.position.epoch + 1, 0, state.position.update
        )
        stop = setting.recipe.stop
        metric = stop.metric or state.best.metrics[0]
        consider_stopping(state, metric, values[metric], target=stop.target, patience=stop.patience)
        is_last = state.stopped or state.position.epoch == phase.epochs
        if is_last or self.checkpoints.age_s > _SAVE_AFTER_EPOCH_S:
            self._save()
            state.best.prune(keep_epochs=list(chain(*self._best_saved)))

    def _log_epoch(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        sums = self.state.sums
        loss, speed = sums.loss / sums.pictures, sums.pictures / sums.seconds
        agreed = zip(agreement_names(self.setting.task), sums.agreement, strict=True)
        trained = {
            "loss": loss,
            **{name: value / sums.pictures for name, value in agreed},
            "learning_rate": learning_rate(self.state),
            "samples_per_second": speed,
        }
        self._log(trained, split="train", phase=phase.name, epoch=epoch)
        self._log(values, split="val", phase=phase.name, epoch=epoch)
        told = _told(values, ("loss", *self.state.best.metrics))
        media = "pictures" if self.setting.recipe.input.frames is None else "clips"
        self.setting.progress.say(
            f"epoch {epoch}/{self.setting.recipe.num_epochs} ({phase.name}): "
            f"train loss {loss:.4f}, val {told}, {speed:.0f} {media}/s"
        )

    def _title(self, phase: Phase) -> str:
        epoch = phase.first_epoch + self.state.position.epoch + 1
        return f"epoch {epoch}/{self.setting.recipe.num_epochs} {phase.name}"

    def _log(self, values: Mapping[str, float], *, split: str, phase: str, epoch: int = 0) -> None:
        update = self.state.position.update
        self.state.log.write(values, step=update, epoch=epoch, phase=phase, split=split)
        if self.setting.recipe.train.tensorboard:
            scalars = {f"{split}/{name}": value for name, value in values.items()}
            self.setting.accelerator.log(scalars, step=update)

    def _save(self) -> None:
        self.state.seconds = time.perf_counter() - self._began
        self.checkpoints.save(self.state.state_dict())
        self._best_saved.append(self._best_epochs)

    @property
    def _best_epochs(self) -> list[int]:
        return [best.epoch for best in self.state.best.best.values()]


def _told(values: Mapping[str, float], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {values[name]:.4f}" for name in names)


def _check_metrics(setting: Setting) -> None:
    known = ("loss", *quick_metric_names(setting.task))
    asked = {"train.best_by": setting.recipe.train.best_by or (),
             "stop.metric": (setting.recipe.stop.metric,)}  # fmt: skip
    for key, names in asked.items():
        for name in names:
            if name is not None and name not in known:
                raise ConfigError(f'{key}: metric "{name}" is unknown{did_you_mean(name, known)}')
