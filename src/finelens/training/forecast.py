"""The forecast: how long a run will take, told from the first updates of a phase, and mended."""

from __future__ import annotations

import time
from collections.abc import Sequence

from finelens.training.phases import Phase
from finelens.training.state import TrainingState

_FORWARD_SHARE = 1 / 3
"""Of an update's work: the backward pass takes about twice as long as the forward one."""
_MEASURED_S = 4.0
_LONGER = 4
"""Times the last one: the next stretch that is measured, and may mend what was told."""
_OFF = 1.5


class Forecast:
    """What is left of a run, in seconds: once in every phase, and again where it is mended.

    Work is taken to grow with the area of the pictures, and to fall to the forward pass where
    the whole backbone is frozen; validation is a forward pass. Where features are kept, updates
    take next to nothing once they are computed, and so does validation, but for that of an average
    in which a backbone that trained before still has a part.

    Args:
        phases: Of the run.
        num_train: Training pictures.
        num_val: Validation pictures, scored after every epoch.
        keeping: For each phase, whether it trains on features that are kept.
        is_averaged: Whether a moving average of the weights is judged.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        *,
        num_train: int,
        num_val: int,
        keeping: Sequence[bool],
        is_averaged: bool,
    ) -> None:
        self._phases = phases
        self._num_train = num_train
        self._num_val = num_val
        self._keeping = keeping
        self._keeps_val = [
            keeps and (not is_averaged or all(keeping[:number]))
            for number, keeps in enumerate(keeping)
        ]
        self._began: tuple[int, float] | None = None
        self._stretch_s = _MEASURED_S
        self._told_s: float | None = None

    def begin_phase(self) -> None:
        """Wait for the first updates of another phase."""
        self._began, self._stretch_s, self._told_s = None, _MEASURED_S, None

    def after_update(
        self, state: TrainingState, num_pictures: int, *, after_epoch_s: float = 0.0
    ) -> float | None:
        """Return the seconds to the end of the run, when first known.

        That is when updates have taken some seconds, but for the first: in it buffers are made
        and kernels chosen. They are told again when over a longer stretch pictures take more
        than 1.5 times as long as was thought, or as much less. Updates on kept features tell
        nothing of the backbone's: they tell of the last phase alone.

        Args:
            state: After the update.
            num_pictures: Of an epoch.
            after_epoch_s: What validating and saving took after an epoch of the phase; counted
                where features are kept, and updates take next to nothing.
        """
        if self._began is None:
            self._began = (state.pictures, state.update_seconds)
            return None
        pictures, seconds = self._began
        measured_s = state.update_seconds - seconds
        if measured_s < self._stretch_s:
            return None
        picture_s = measured_s / (state.pictures - pictures)
        self._began = (state.pictures, state.update_seconds)
        self._stretch_s *= _LONGER
        phase, epoch = state.position.phase, state.position.epoch
        is_kept = self._keeping[phase]
        epoch_s = num_pictures * picture_s + (after_epoch_s if is_kept else 0.0)
        told_s = self._told_s
        if told_s is not None and 1 / _OFF <= epoch_s / told_s <= _OFF:
            return None
        self._told_s = epoch_s
        done_s = state.sums.pictures * picture_s
        if not is_kept:
            return self._left_s(phase, epoch, picture_s, num_pictures) - done_s
        if phase + 1 < len(self._phases):
            return None
        return (self._phases[phase].epochs - epoch) * epoch_s - done_s

    def _left_s(self, phase: int, epoch: int, picture_s: float, num_pictures: int) -> float:
        unit_s = picture_s / _work(self._phases[phase])
        size = self._phases[-1].augmentation.preprocessing.size
        validation_s = self._num_val * unit_s * _FORWARD_SHARE * size**2
        left_s = validation_s  # the last scoring
        for number, each in enumerate(self._phases[phase:]):
            num_epochs = each.epochs - (epoch if number == 0 else 0)
            num_seen = num_epochs * num_pictures
            if self._keeping[phase + number]:
                num_seen = (each.num_views or 1) * self._num_train
            num_validations = 1 if self._keeps_val[phase + number] else num_epochs
            left_s += num_seen * unit_s * _work(each) + num_validations * validation_s
        return left_s


class Pace:
    """What is left of a pass over examples, in seconds, once: when some seconds have gone.

    Args:
        num_examples: Of the whole pass.
    """

    def __init__(self, num_examples: int) -> None:
        self._num_left = num_examples
        self._num_done = 0
        self._began: float | None = None
        self._is_told = False

    def after(self, num_examples: int, *, now: float | None = None) -> float | None:
        """Return the seconds that are left after so many more examples, when first known.

        None too where little is left.

        Args:
            num_examples: Done since the last call.
            now: Seconds of a clock; None: of the machine's.
        """
        now = time.monotonic() if now is None else now
        self._num_left -= num_examples
        if self._began is None:  # in the first ones buffers are made and kernels chosen
            self._began = now
            return None
        self._num_done += num_examples
        elapsed_s = now - self._began
        if self._is_told or elapsed_s < _MEASURED_S:
            return None
        self._is_told = True
        left_s = elapsed_s / self._num_done * self._num_left
        return left_s if left_s >= _MEASURED_S else None


def _work(phase: Phase) -> float:
    size = phase.augmentation.preprocessing.size
    return (_FORWARD_SHARE if phase.freeze == "backbone" else 1.0) * size**2
