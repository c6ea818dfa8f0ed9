"""The explanation: where a model looked in one picture or clip for one class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finelens.data.heat_map import HeatMap
from finelens.models.folder import SavedModel
from finelens.models.memory_format import in_format
from finelens.models.saliency import grad_cam, spread
from finelens.models.spatial_layer import SpatialLayer


@dataclass(frozen=True)
class Explanation:
    """Where a model looked in a picture or clip for a class.

    Attributes:
        class_name: The class.
        probability: Of the class, calibrated, in [0, 1].
        threshold: From which the class is said to be present; None where the most probable is.
        is_decided: Whether the class is said to be present.
        heat: What the network saw, and how much each place of it spoke for the class.
    """

    class_name: str
    probability: float
    threshold: float | None
    is_decided: bool
    heat: HeatMap


def explain(
    saved: SavedModel,
    pictures_THWC: NDArray[np.uint8],
    class_name: str | None,
    *,
    layer: SpatialLayer,
    forward: Callable[[Tensor], NDArray[np.float32]],
) -> Explanation:
    """Return where a model looked in a picture or clip for a class.

    Args:
        saved: The model, on the device where it runs.
        pictures_THWC: A picture, T is 1, or a clip's frames, of any size, red first, 0 to 255.
        class_name: None takes the class of the highest probability.
        layer: As ``find_spatial_layer`` gives it for the model's input size.
        forward: Makes logits (1, K) of uint8 views (1, 3, S, S), or (1, T, 3, S, S) of a clip.

    Raises:
        DataError: If there is no such class.
    """
    task, preprocessing = saved.task, saved.preprocessing
    given = None if class_name is None else task.index(class_name)
    pictures_THWC = np.require(pictures_THWC, requirements="W")  # as tensors are
    views_TCSS = torch.stack([preprocessing(picture_HWC) for picture_HWC in pictures_THWC])
    views = views_TCSS if preprocessing.frames is None else views_TCSS.unsqueeze(0)
    probabilities_1K = saved.decision.probabilities(task, forward(views))
    chosen = int(probabilities_1K.argmax()) if given is None else given
    device = saved.classifier.head_output.weight.device
    x = in_format(preprocessing.normalise(views.to(device)), channels_last=True)
    heat_1THW = grad_cam(saved.classifier, x, chosen, layer)
    heat_1TSS = spread(heat_1THW, frames=len(views_TCSS), size=preprocessing.size)
    thresholds = saved.decision.thresholds
    return Explanation(
        class_name=task.classes[chosen],
        probability=float(probabilities_1K[0, chosen]),
        threshold=None if thresholds is None else thresholds[chosen],
        is_decided=bool(saved.decision.decide(probabilities_1K)[0, chosen]),
        heat=HeatMap(
            pictures_THWC=pictures_THWC,
            views_TSSC=views_TCSS.permute(0, 2, 3, 1).contiguous().numpy(),
            heat_TSS=heat_1TSS[0].cpu().numpy(),
            box=preprocessing.box(*pictures_THWC.shape[1:3]),
        ),
    )
