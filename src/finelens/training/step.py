"""The step: a batch becomes gradients, and sums of what was seen on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finelens.data.loader import Batch
from finelens.models.backbone import one_line
from finelens.models.cuda_graphs import HostDrawError
from finelens.training.device_queue import DeviceQueue
from finelens.training.profile import BACKWARD, FORWARD, Profile
from finelens.training.recording import Recording, record
from finelens.training.two_passes import CompiledPasses, DirectPasses, TwoPasses, UpdateRule

_NUM_BEFORE = 3  # batches that make buffers and choose kernels before a recording
_WORTH_RECORDING = 60  # batches: on an H100 recording took what it saves in 30 of ResNet50


def is_one_gpu(accelerator: Accelerator) -> bool:
    """Return whether a single process trains, on a CUDA device."""
    return accelerator.num_processes == 1 and accelerator.device.type == "cuda"


class Step:
    """What each batch of a phase goes through: what is trained and the pictures' size stay.

    One CUDA device works while this process goes on, which is at most two batches ahead. Where a
    phase has 60 batches or more, the passes are recorded after the third of the usual size and
    replayed from then on: small batches take less time.

    Args:
        rule: How a batch becomes an update.
        model: The classifier as the accelerator wraps it for several processes, or its tail.
        accelerator: Gives autocast and the backward pass.
        compiles: Whether the network is compiled for batches of the usual size, where one CUDA
            device trains. Its numbers differ by rounding, and it draws others for dropout.
        batch_size: The usual size: of the batches that are compiled for and recorded.
        num_batches: Left of the phase.
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
        compiles: bool,
        batch_size: int,
        num_batches: int,
        profile: Profile,
        say: Callable[[str], None],
    ) -> None:
        self.rule = rule
        self.model = model
        self.accelerator = accelerator
        self.profile = profile
        self._batch_size = batch_size
        self._say = say
        is_alone = is_one_gpu(accelerator)
        self._queue = DeviceQueue(accelerator.device) if is_alone else None
        self._compiles = compiles and is_alone
        self._may_record = is_alone and num_batches >= _WORTH_RECORDING
        self._num_usual = 0
        self._direct = DirectPasses(rule, model, accelerator)
        # of batches of the usual size
        self._live: TwoPasses = self._direct
        self._recording: Recording | None = None

    def __call__(self, batch: Batch, *, share: float) -> Tensor:
        """Add a batch's gradients; return the sums over its pictures of loss and agreement.

        Args:
            batch: As the loader gives it.
            share: What its gradients count.

        Returns:
            float32, on the device; the next call may overwrite them.
        """
        with self.profile.part(FORWARD):
            images_BCHW, targets_BK = self._bring(batch)
            passes = self._passes_for(images_BCHW, targets_BK)
            sums = passes.forward(images_BCHW, targets_BK)
        with self.profile.part(BACKWARD):
            passes.backward(share)
        if self._queue is not None:
            self._queue.end_batch(images_BCHW, targets_BK)
        return sums

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the block's steps, and what follows them, compute in one order; wait for the last."""
        if self._queue is None:
            yield
            return
        with self._queue.running():
            yield

    def _bring(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if self._queue is not None:
            return self._queue.bring(batch.images_BCHW, batch.targets_BK)
        device = self.accelerator.device
        return batch.images_BCHW.to(device), batch.targets_BK.to(device)

    def _passes_for(self, images_BCHW: Tensor, targets_BK: Tensor) -> TwoPasses:
        if len(targets_BK) != self._batch_size:
            self._make_room(len(targets_BK))
            return self._direct
        self._num_usual += 1
        if self._compiles and self._num_usual == 1:
            self._say("training: compiling the network, which takes about a minute, once a phase")
            self._live = CompiledPasses(self.rule, self.model, self.accelerator, say=self._say)
        if self._may_record and self._num_usual == _NUM_BEFORE + 1:
            self._record(images_BCHW, targets_BK)
        return self._recording or self._live

    def _record(self, images_BCHW: Tensor, targets_BK: Tensor) -> None:
        try:
            self._recording = record(
                self._live,
                parameters=self.model.parameters(),
                accumulates=self.rule.accumulate > 1,
                images_BCHW=images_BCHW,
                targets_BK=targets_BK,
            )
        except (HostDrawError, RuntimeError) as error:
            self._say(f"training: passes are not recorded as CUDA graphs: {one_line(error)}")

    def _make_room(self, batch_size: int) -> None:
        """Forget the recording where it leaves too little memory for a batch of another size."""
        if self._recording is None:
            return
        device, num_bytes = self.accelerator.device, self._recording.num_bytes
        free, _ = torch.cuda.mem_get_info(device)
        # of what torch holds and does not use, the recording's part serves nothing else
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        if free + max(0, held - num_bytes) < num_bytes * batch_size / self._batch_size:
            self._recording = None
            self._say(
                "training: passes are no longer replayed: the recording leaves too little memory "
                "for a batch of another size; a smaller train.batch_size leaves more"
            )
