"""The passes: views become logits by forward passes of one shape.

The shape of a forward pass, and the number of threads that share it, decide which kernels compute
it; another kernel may add in another order. So a picture's logits depend, in their last bits, on
how many pictures share its pass, but not on which these are. Here all passes have one shape and,
on a CPU, one thread: a picture gets the same logits to the last bit whatever comes with it, and
with any number of cores.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finelens.data.one_thread import one_thread
from finelens.models.memory_format import in_format

if TYPE_CHECKING:
    from finelens.data.preprocessing import Preprocessing


def logits_of(
    classifier: nn.Module,
    images_BCHW: Tensor,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    pass_size: int,
) -> NDArray[np.float32]:
    """Return the logits of uint8 views, pictures or clips, float32 (B, K).

    On a CPU a pass is computed by one core, and as many run at a time as torch has threads.

    Args:
        classifier: On ``device``, in evaluation mode.
        images_BCHW: Views (B, C, S, S), or (B, T, C, S, S) of clips; B is 1 or more.
        preprocessing: Its ``normalise`` makes floats of them, on ``device``.
        device: Where the model lies.
        pass_size: Views a forward pass; blanks fill the last one.
    """

    @torch.inference_mode()
    def passed(images: Tensor) -> NDArray[np.float32]:
        x_BCHW = preprocessing.normalise(_filled(images, pass_size).to(device, non_blocking=True))
        logits_BK = classifier(in_format(x_BCHW, channels_last=True))
        return logits_BK[: len(images)].float().cpu().numpy()

    passes = images_BCHW.split(pass_size)
    num_cores = torch.get_num_threads() if device.type == "cpu" else 1
    if num_cores == 1 or len(passes) == 1:
        with one_thread():
            return np.concatenate([passed(images) for images in passes])
    with one_thread():
        return np.concatenate(list(_cores(num_cores).map(passed, passes)))


def _filled(images_BCHW: Tensor, size: int) -> Tensor:
    missing = size - len(images_BCHW)
    if not missing:
        return images_BCHW
    return torch.cat([images_BCHW, images_BCHW.new_zeros(missing, *images_BCHW.shape[1:])])


@functools.cache
def _cores(num_threads: int) -> ThreadPoolExecutor:
    # torch keeps the number of threads by thread: each of these shares its work with no other
    return ThreadPoolExecutor(
        num_threads, "finelens-pass", initializer=torch.set_num_threads, initargs=(1,)
    )
