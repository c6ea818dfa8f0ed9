"""The training state: what changes while training, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim import Optimizer

from finelens.models.classifier import Classifier
from finelens.runs.log import MetricsLog
from finelens.training.averaging import WeightAverage
from finelens.training.best import BestWeights
from finelens.training.randomness import random_state, restore_random_state


@dataclass
class Position:
    """Where training is: always between two weight updates.

    Attributes:
        phase: Index of the phase.
        epoch: Epochs of the phase that are done, validation included.
        batch: Batches of the running epoch that are done; all of them: validation is next.
        update: Weight updates of the whole run so far.
    """

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    update: int = 0


_WITH_DOUBLES = {"cpu", "cuda"}


@dataclass
class EpochSums:
    """Sums over the running epoch's pictures, from which its training figures follow.

    Those of loss and agreement lie where they are computed: a GPU is waited for when they are read,
    not whenever a batch adds to them.

    Attributes:
        totals: Of loss, then of each agreement; float64, empty at first.
        pictures: How many there were.
        seconds: How long they took.
        noted_loss: Of a picture, when it was last looked at.
    """

    totals: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    pictures: int = 0
    seconds: float = 0.0
    noted_loss: float = 0.0

    def add(self, sums: Tensor) -> None:
        """Add a batch's sums of loss and agreement."""
        if sums.device.type not in _WITH_DOUBLES:
            sums = sums.cpu()
        before = self.totals.to(sums.device) if len(self.totals) else torch.zeros_like(sums)
        self.totals = before + sums.double()

    def note(self) -> None:
        """Look at the loss: a GPU is waited for."""
        self.noted_loss = self.loss / self.pictures

    @property
    def loss(self) -> float:
        """Return the sum of the losses."""
        return float(self.totals[0]) if len(self.totals) else 0.0

    @property
    def agreement(self) -> list[float]:
        """Return the sum of each agreement."""
        return self.totals[1:].tolist()

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers that ``from_state_dict`` reads."""
        return {
            "loss": self.loss,
            "agreement": self.agreement,
            "pictures": self.pictures,
            "seconds": self.seconds,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Self:
        """Return the sums of ``state_dict``'s numbers."""
        totals = [state["loss"], *state["agreement"]] if state["pictures"] else []
        return cls(torch.tensor(totals, dtype=torch.float64), state["pictures"], state["seconds"])


@dataclass
class TrainingState:
    """Everything a checkpoint holds.

    Attributes:
        classifier: The network being trained.
        best: Best weights so far.
        log: What was measured.
        average: The moving average of the weights, if one is kept.
        phase_average: The running phase's stochastic weight average, if it has one.
        optimizer: The running phase's.
        position: Where training is.
        sums: The running epoch's sums.
        seconds: Wall time of training so far, probe and validation included, over all resumes.
        update_seconds: The part of it spent on weight updates, reading included.
        pictures: Pictures trained on so far.
        epochs_without_better: Epochs since the stop metric was best.
        stop_best: The stop metric's best value so far.
        stopped: Why training ended early, if it did.
    """

    classifier: Classifier
    best: BestWeights
    log: MetricsLog
    average: WeightAverage | None
    phase_average: WeightAverage | None = None
    optimizer: Optimizer | None = None
    position: Position = field(default_factory=Position)
    sums: EpochSums = field(default_factory=EpochSums)
    seconds: float = 0.0
    update_seconds: float = 0.0
    pictures: int = 0
    epochs_without_better: int = 0
    stop_best: float = float("nan")
    stopped: str | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint: tensors, numbers, strings, lists, dictionaries."""
        return {
            "classifier": self.classifier.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "phase_average": self.phase_average.state_dict() if self.phase_average else None,
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "best": self.best.state_dict(),
            "position": asdict(self.position),
            "sums": self.sums.state_dict(),
            "log_size": self.log.size,
            "random": random_state(),
            "seconds": self.seconds,
            "update_seconds": self.update_seconds,
            "pictures": self.pictures,
            "epochs_without_better": self.epochs_without_better,
            "stop_best": self.stop_best,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint; the log was cut to ``log_size`` by whoever opened it.

        The optimizer's part waits until the phase has made its optimizer.
        """
        self.classifier.load_state_dict(state["classifier"])
        if self.average:
            self.average.load_state_dict(state["average"])
        if state["phase_average"] is not None:
            self.phase_average = WeightAverage(self.classifier, None)
            self.phase_average.load_state_dict(state["phase_average"])
        self.best.load_state_dict(state["best"])
        self.position = Position(**state["position"])
        self.sums = EpochSums.from_state_dict(state["sums"])
        self.seconds = state["seconds"]
        self.update_seconds = state["update_seconds"]
        self.pictures = state["pictures"]
        self.epochs_without_better = state["epochs_without_better"]
        self.stop_best = state["stop_best"]
        self.stopped = state["stopped"]
        restore_random_state(state["random"])
