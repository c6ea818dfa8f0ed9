"""The passes: views become logits by forward passes, each picture's own to the last bit.

The shape of a forward pass, and the number of threads that share it, decide which kernels compute
it; another kernel may add in another order. So a picture's logits may depend, in their last bits,
on how many pictures share its pass. Here a picture gets the same logits to the last bit whatever
comes with it, and on a CPU with any number of cores:

- On a CPU a pass is one thread's, and as many run at a time as torch has threads. Alone or eight
  together: eight only after eight pictures gave in such a pass, bit for bit, what they gave alone.
- Elsewhere all passes have one shape, blanks filling the last. After a few, a CUDA device replays
  them as a graph: handing a network's kernels over one by one takes longer than they do.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.one_thread import one_thread
from finelens.evaluation.recorded_pass import RecordedPass, record_pass
from finelens.models.cuda_graphs import HostDrawError
from finelens.models.memory_format import in_format

if TYPE_CHECKING:
    from finelens.data.preprocessing import Preprocessing
    from finelens.models.classifier import Classifier
    from finelens.models.precision import Precision

PASS_SIZE = 32
"""Views a pass on a GPU."""
# more bring nothing on a CPU: ResNet18 in bf16 gave 36, 46, 52, 44 a second at 1, 4, 8, 32
_TOGETHER = 8
_WORTH_PROVING = 2 * _TOGETHER
# on an H100 recording took what it saves in as many of ResNet50
_NUM_DIRECT = 8


class Passes:
    """How a classifier's logits are computed; call it with uint8 views.

    Args:
        classifier: On ``device``, in evaluation mode whenever this is called. Its tensors may
            change, but are to stay the same objects.
        preprocessing: Its ``normalise`` makes floats of views, on ``device``.
        device: Where the model lies.
        precision: Of everything before the head, which always computes in fp32.
        pass_size: Views a pass, on any device but a CPU.
    """

    def __init__(
        self,
        classifier: Classifier,
        preprocessing: Preprocessing,
        *,
        device: torch.device,
        precision: Precision,
        pass_size: int = PASS_SIZE,
    ) -> None:
        self._classifier = classifier
        self._preprocessing = preprocessing
        self._device = device
        self._precision = precision
        self._pass_size = pass_size
        self._is_cpu = device.type == "cpu"
        self._may_join: dict[torch.Size, bool] = {}
        self._num_direct: Counter[str] = Counter()
        self._recordings: dict[str, RecordedPass] = {}
        self._unrecordable: set[str] = set()
        self._lock = threading.Lock()

    @property
    def num_together(self) -> int:
        """Return how many views are computed at one time when there are enough."""
        if not self._is_cpu:
            return self._pass_size
        # the frames of a clip fill a pass
        is_clips = self._preprocessing.frames is not None
        return torch.get_num_threads() * (1 if is_clips else _TOGETHER)

    def __call__(self, images_BCHW: Tensor) -> NDArray[np.float32]:
        """Return the logits of views, float32 (B, K).

        Args:
            images_BCHW: uint8 (B, C, S, S), or (B, T, C, S, S) of clips; B is 1 or more.
        """
        return self._run(self._logits, images_BCHW)

    def features(self, images_BCHW: Tensor) -> NDArray[np.float32]:
        """Return what the head sees of views, float32 (B, P)."""
        return self._run(self._features, images_BCHW)

    def backbone_features(self, images_BCHW: Tensor) -> NDArray[np.float32]:
        """Return the classifier's ``backbone_features`` of views, float32 (B, P) or (B, T, F)."""
        return self._run(self._backbone_features, images_BCHW)

    def logits_of(self, features_NX: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (N, K) of views by their ``backbone_features``.

        On a CPU they are the views' own to the last bit.
        """
        if not self._is_cpu:
            parts = torch.tensor(features_NX).split(self._pass_size)
            results = [self._tail(_filled(part, self._pass_size))[: len(part)] for part in parts]
            return torch.cat(results).cpu().numpy()
        num_threads = torch.get_num_threads()
        with one_thread():
            parts = torch.tensor(features_NX).tensor_split(num_threads)
            results = list(_cores(num_threads).map(self._tails, parts))
        return torch.cat(results).numpy()

    def release(self) -> None:
        """Give back the device memory that recordings keep; later passes may record anew."""
        self._num_direct.clear()
        self._recordings.clear()

    def _run(self, compute: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> NDArray[np.float32]:
        if not self._is_cpu:
            parts = images_BCHW.split(self._pass_size)
            with self._lock:
                results = [self._pass(compute, part) for part in parts]
        else:
            num_threads = torch.get_num_threads()
            with one_thread():
                parts = list(self._parts(images_BCHW, num_threads))
                is_shared = num_threads > 1 and len(parts) > 1
                each = _cores(num_threads).map if is_shared else map
                results = list(each(compute, parts))
        return torch.cat(results).cpu().numpy()

    def _pass(self, compute: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> Tensor:
        """Return what a device other than a CPU makes of views, at most a pass."""
        name = compute.__name__
        recording = self._recordings.get(name)
        if recording is not None and recording.suits(images_BCHW):
            return recording(images_BCHW)
        if recording is not None:
            self.release()
        filled_BCHW = self._filled(images_BCHW).to(self._device, non_blocking=True)
        results = compute(filled_BCHW)[: len(images_BCHW)]
        self._num_direct[name] += 1
        is_time = self._num_direct[name] == _NUM_DIRECT and name not in self._unrecordable
        if is_time and self._device.type == "cuda":
            self._record(compute, filled_BCHW)
        return results

    def _record(self, compute: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> None:
        tensors = itertools.chain(self._classifier.parameters(), self._classifier.buffers())
        name = compute.__name__
        try:
            self._recordings[name] = record_pass(compute, images_BCHW, tensors, self._stream)
        except (HostDrawError, RuntimeError):
            # it is computed as it is
            self._unrecordable.add(name)

    @functools.cached_property
    def _stream(self) -> torch.cuda.Stream:
        # of the priority that training's have not: torch hands out 32 of each, again and again
        return torch.cuda.Stream(self._device, priority=-1)

    def _parts(self, images_BCHW: Tensor, num_threads: int) -> Iterator[Tensor]:
        """Return the views in passes that end at about the same time on all threads."""
        num_joined = 0
        if self._joins(images_BCHW):
            # as many passes on each thread; of what is left over, eights if all threads have work
            num_joined = len(images_BCHW) // (_TOGETHER * num_threads) * num_threads
            num_left = len(images_BCHW) - num_joined * _TOGETHER
            if num_left >= _TOGETHER * num_threads - _TOGETHER // 2:
                num_joined += num_left // _TOGETHER
        joined, alone = images_BCHW.tensor_split([num_joined * _TOGETHER])
        if num_joined:
            yield from joined.split(_TOGETHER)
        if len(alone):
            yield from alone.split(1)

    def _joins(self, images_BCHW: Tensor) -> bool:
        """Return whether views share passes: where each gets the very features that it gets alone.

        Another size of pictures has other kernels, and is looked at by itself.

        Two orders of adding give different sums of nearly any numbers, so eight pictures that
        agree in every bit were added in one order.
        """
        shape = images_BCHW.shape[1:]
        is_clips = images_BCHW.ndim > 4
        if shape not in self._may_join and not is_clips and len(images_BCHW) >= _WORTH_PROVING:
            few = images_BCHW[:_TOGETHER]
            alone = torch.cat([self._features(image) for image in few.split(1)])
            self._may_join[shape] = torch.equal(self._features(few), alone)
        return self._may_join.get(shape, False)

    def _tails(self, features_NX: Tensor) -> Tensor:
        """Return the logits of each row alone: several are added in another order."""
        rows = [self._tail(row) for row in features_NX.split(1) if len(row)]
        return torch.cat(rows or [torch.zeros(0, self._classifier.num_classes)])

    @torch.inference_mode()
    def _tail(self, features_BX: Tensor) -> Tensor:
        features_BX = features_BX.to(self._device)
        if self._classifier.pools_by_weights:
            with self._autocast():
                features_BX = self._classifier.pooling(features_BX).float()
        return self._classifier.head(features_BX).float()

    @torch.inference_mode()
    def _logits(self, images_BCHW: Tensor) -> Tensor:
        features_BP = self._features(images_BCHW)
        # in bf16 a logit has 8 bits: too few to rank by; and one row is added in another order
        # than several
        rows = features_BP.split(1) if self._is_cpu else [features_BP]
        return torch.cat([self._classifier.head(row) for row in rows]).float()

    @torch.inference_mode()
    def _features(self, images_BCHW: Tensor) -> Tensor:
        with self._autocast():
            return self._classifier.features(self._seen(images_BCHW)).float()

    @torch.inference_mode()
    def _backbone_features(self, images_BCHW: Tensor) -> Tensor:
        with self._autocast():
            return self._classifier.backbone_features(self._seen(images_BCHW)).float()

    def _seen(self, images_BCHW: Tensor) -> Tensor:
        x_BCHW = self._preprocessing.normalise(images_BCHW.to(self._device, non_blocking=True))
        return in_format(x_BCHW, channels_last=True)

    def _autocast(self) -> torch.autocast:
        is_bf16 = self._precision == "bf16"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=is_bf16)

    def _filled(self, images_BCHW: Tensor) -> Tensor:
        if len(images_BCHW) == self._pass_size:
            return images_BCHW
        *of_view, channels, height, width = images_BCHW.shape[1:]
        filled_BHWC = images_BCHW.new_zeros(self._pass_size, *of_view, height, width, channels)
        filled_BCHW = filled_BHWC.movedim(-1, -3)
        filled_BCHW[: len(images_BCHW)] = images_BCHW
        return filled_BCHW


def _filled(features_BX: Tensor, size: int) -> Tensor:
    """Return features with rows of zeros behind them."""
    num_blank = size - len(features_BX)
    return torch.cat([features_BX, features_BX.new_zeros(num_blank, *features_BX.shape[1:])])


@functools.cache
def _cores(num_threads: int) -> ThreadPoolExecutor:
    # torch keeps the number of threads by thread: each of these shares its work with no other
    return ThreadPoolExecutor(
        num_threads, "finelens-pass", initializer=torch.set_num_threads, initargs=(1,)
    )
