"""The step: a batch becomes gradients, and sums of what was seen on the way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finelens.data.loader import Batch
from finelens.data.preprocessing import Preprocessing
from finelens.models.memory_format import in_format
from finelens.task import Task
from finelens.training.agreement import batch_agreement
from finelens.training.losses import Loss
from finelens.training.profile import BACKWARD, FORWARD, Profile
from finelens.training.recording import Recording, RecordingError, TwoPasses

_NUM_AHEAD = 2  # batches that wait for a GPU: it never waits for the next
_NUM_BEFORE = 3  # batches that make buffers and choose kernels before a recording
_WORTH_RECORDING = 60  # batches: on an H100 recording took what it saves in 30 of ResNet50
_NUM_TIMED = 20  # batches, after which it is known how long the rest will take
_WORTH_COMPILING_S = 400.0  # of a phase: on an H100 40 s of compiling took a quarter off ResNet50

Compile = Literal["auto"] | bool


@dataclass(frozen=True)
class UpdateRule:
    """How a batch becomes a weight update.

    Attributes:
        loss: From logits (B, K) and targets (B, K) to a scalar.
        auxiliary_weight: What the loss of each auxiliary net counts beside the head's.
        preprocessing: Normalises the pictures.
        task: Says what agreement is measured.
        threshold: The probability from which yes is said.
        accumulate: Batches a weight update.
        clip_norm: Largest gradient norm, if any.
        channels_last: The memory format of the pictures.
        seed: Keys the randomness of every batch; None where the epoch was seeded instead.
    """

    loss: Loss
    auxiliary_weight: float
    preprocessing: Preprocessing
    task: Task
    threshold: float
    accumulate: int
    clip_norm: float | None
    channels_last: bool
    seed: int | None


class Step:
    """What each batch of a phase goes through: what is trained and the pictures' size stay.

    A CUDA device works while this process goes on, at most two batches ahead of it. On one device
    the passes are recorded after a few batches and then replayed, where a phase is long enough for
    it to pay: small batches take less time, and the same numbers come out. Where so much is left
    that compiling the network pays too, that comes first; its numbers differ by rounding.

    Args:
        rule: How a batch becomes an update.
        model: The classifier as the accelerator wraps it for several processes.
        accelerator: Gives autocast and the backward pass.
        compiles: Whether the network is compiled on a CUDA device; ``auto``: where it pays.
        batch_size: Of the batches that are recorded; others are computed as they come.
        num_batches: Of the phase.
        profile: Is told what each part took.
        say: Is told when a network is compiled, and why it is not, or not recorded.

    Attributes:
        rule: As given.
        model: As given.
        accelerator: As given.
        profile: As given.
    """

    def __init__(
        self,
        rule: UpdateRule,
        model: nn.Module,
        accelerator: Accelerator,
        *,
        compiles: Compile,
        batch_size: int,
        num_batches: int,
        profile: Profile,
        say: Callable[[str], None],
    ) -> None:
        self.rule = rule
        self.model = model
        self.accelerator = accelerator
        self.profile = profile
        self._compiles = compiles
        self._batch_size = batch_size
        self._num_left = num_batches
        self._say = say
        is_cuda = accelerator.device.type == "cuda"
        self._queue = _Queue(accelerator.device) if is_cuda else None
        self._may_record = is_cuda and accelerator.num_processes == 1
        self._direct = _Direct(rule, model, accelerator)
        # of batches of the size that is recorded
        self._usual: TwoPasses = self._direct
        self._begin()
        if compiles is True and self._may_record:
            self._compile()

    def __call__(self, batch: Batch, *, share: float) -> Tensor:
        """Add a batch's gradients; return the sums over its pictures of loss and agreement.

        Args:
            batch: As the loader gives it.
            share: What its gradients count.

        Returns:
            float32, on the device; the next call may overwrite them.
        """
        with self.profile.part(FORWARD):
            parts = batch.images_BCHW, batch.targets_BK
            images_BCHW, targets_BK = parts if self._queue is None else self._queue.brought(*parts)
            passes = self._passes_for(images_BCHW, targets_BK)
            sums = passes.forward(images_BCHW, targets_BK)
        with self.profile.part(BACKWARD):
            passes.backward(share)
        if self._queue is not None:
            self._queue.put()
        self._num_left -= 1
        return sums

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the block's steps, and what follows them, compute in one order; wait for the last."""
        if self._queue is None:
            yield
            return
        with self._queue.running():
            yield

    def _passes_for(self, images_BCHW: Tensor, targets_BK: Tensor) -> TwoPasses:
        if not self._may_record or len(targets_BK) != self._batch_size:
            return self._direct
        self._num_seen += 1
        if self._num_seen == _NUM_BEFORE + 1 and self._num_left >= _WORTH_RECORDING:
            self._record(images_BCHW, targets_BK)
        if self._num_seen == _NUM_BEFORE + 2:
            self._began_s = time.perf_counter()
        if self._num_seen == _NUM_BEFORE + 2 + _NUM_TIMED and self._compiles == "auto":
            batch_s = (time.perf_counter() - self._began_s) / _NUM_TIMED
            if batch_s * self._num_left > _WORTH_COMPILING_S:
                self._compile()
        return self._usual

    def _begin(self) -> None:
        self._num_seen, self._began_s = 0, 0.0

    def _record(self, images_BCHW: Tensor, targets_BK: Tensor) -> None:
        try:
            self._usual = Recording(
                self._usual,
                parameters=self.model.parameters(),
                accumulates=self.rule.accumulate > 1,
                images_BCHW=images_BCHW,
                targets_BK=targets_BK,
            )
        except (RecordingError, RuntimeError) as error:
            self._say(f"training: passes are not recorded as CUDA graphs: {_line(error)}")

    def _compile(self) -> None:
        """Let usual batches go through a compiled network, which is then recorded anew."""
        self._say("training: compiling the network, which takes about a minute, once a phase")
        self._compiles = False
        self._usual = _Compiled(self._direct, self.model, self._say)
        self._begin()


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _Direct:
    """The passes as they are, handed over kernel by kernel."""

    def __init__(
        self, rule: UpdateRule, model: Callable[[Tensor], Any], accelerator: Accelerator
    ) -> None:
        self._rule = rule
        self._model = model
        self._accelerator = accelerator
        self._loss: Tensor | None = None

    def with_model(self, model: Callable[[Tensor], Any]) -> _Direct:
        """Return the same passes through another form of the model."""
        return _Direct(self._rule, model, self._accelerator)

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        rule = self._rule
        x_BCHW = rule.preprocessing.normalise(images_BCHW)
        x_BCHW = in_format(x_BCHW, channels_last=rule.channels_last)
        with self._accelerator.autocast():
            outputs = self._model(x_BCHW)
        logits_BK, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = rule.loss(logits_BK.float(), targets_BK)
        for of_net_BK in auxiliary:
            loss = loss + rule.auxiliary_weight * rule.loss(of_net_BK.float(), targets_BK)
        self._loss = loss
        agreement = batch_agreement(
            logits_BK.detach(), targets_BK, rule.task, threshold=rule.threshold
        )
        return torch.cat([loss.detach()[None] * len(targets_BK), agreement])

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that loss's mean, times a share, to the parameters."""
        assert self._loss is not None, "backward before forward"
        loss, self._loss = self._loss, None
        self._accelerator.backward(loss * share)


class _Compiled:
    """The passes through torch's compiler, or as they are where it cannot compile them."""

    def __init__(self, direct: _Direct, model: nn.Module, say: Callable[[str], None]) -> None:
        # what earlier phases compiled counts towards the compiler's limit
        torch.compiler.reset()
        self._direct = direct
        self._passes = direct.with_model(torch.compile(model, dynamic=False))
        self._say = say

    def forward(self, images_BCHW: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sums of loss and agreement over a batch's pictures."""
        try:
            return self._passes.forward(images_BCHW, targets_BK)
        except RuntimeError as error:
            if self._passes is self._direct:
                raise
            self._say(f"training: the network cannot be compiled: {_line(error)}")
            self._passes = self._direct
            return self._passes.forward(images_BCHW, targets_BK)

    def backward(self, share: float | Tensor) -> None:
        """Add the gradients of that loss's mean, times a share, to the parameters."""
        self._passes.backward(share)


class _Queue:
    """What a CUDA device has yet to do, in a stream of its own; pictures come beside it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._copies = torch.cuda.Stream(device)
        self._ends: deque[torch.cuda.Event] = deque()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the block hand over to the stream; wait for all of it at the end."""
        outside = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            try:
                yield
            finally:
                self._ends.clear()
                outside.wait_stream(self._stream)
        self._stream.synchronize()

    def brought(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return tensors on the device, where they arrive while it still computes."""
        with torch.cuda.stream(self._copies):
            images = images.to(self._device, non_blocking=True)
            targets = targets.to(self._device, non_blocking=True)
        self._stream.wait_stream(self._copies)
        images.record_stream(self._stream)
        targets.record_stream(self._stream)
        return images, targets

    def put(self) -> None:
        """Note the end of a batch; wait until no more than two have to be done."""
        end = torch.cuda.Event()
        end.record(self._stream)
        self._ends.append(end)
        if len(self._ends) > _NUM_AHEAD:
            self._ends.popleft().synchronize()
