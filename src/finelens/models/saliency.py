"""Saliency: where a classifier looked for a class (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from finelens.models.classifier import Classifier
from finelens.models.cut import cut_at
from finelens.models.spatial_layer import SpatialLayer


def grad_cam(classifier: Classifier, x: Tensor, class_index: int, layer: SpatialLayer) -> Tensor:
    """Return how much each place of pictures or clips speaks for a class.

    Grad-CAM, Selvaraju et al. 2017, equations 1 and 2: a map's weight is the mean over places of
    the gradient of the class's logit, and the maps' weighted sum is cut off at 0. In a clip
    network that looks at time itself the places are those of space and time; where frames are
    seen one by one, each frame has weights of its own, so that a frame which the rest of the
    network overlooks stays dark. Class and register tokens have no place and are left out.

    The classifier is left as it was: modes, hooks, gradients and what may have gradients.
    Other threads may use it meanwhile.

    Args:
        classifier: Pictures or clips to logits.
        x: Normalised pictures (B, 3, S, S) or clips (B, T, 3, S, S).
        class_index: Below K.
        layer: As ``find_spatial_layer`` gives it for pictures of that size.

    Returns:
        Values of at least 0, shape (B, t, h, w), detached; t is 1 of a picture, T of frames seen
        one by one, and the layer's own in a clip network.
    """
    with (
        _evaluating(classifier),
        _with_gradient_of_lstm(classifier),
        cut_at(classifier.backbone.network, layer.path, call=layer.call) as cut,
    ):
        value = classifier(x)[:, class_index].sum()
        gradient = torch.autograd.grad(value, cut.output)[0]
    maps, gradients = layer.maps(cut.output.detach()), layer.maps(gradient)
    places = tuple(range(2, maps.ndim))
    heat = (gradients.mean(dim=places, keepdim=True) * maps).sum(dim=1).clamp(min=0)
    if layer.layout != "volumes":
        heat = heat.unflatten(0, (len(x), -1))
    return heat


def spread(heat_BTHW: Tensor, *, frames: int, size: int) -> Tensor:
    """Return heat (B, t, h, w) at a clip's frames and pixels, in [0, 1], (B, T, S, S).

    The hottest place of each example, over all its frames, becomes 1, so that its frames can be
    compared; an example nothing of which speaks for the class stays 0. Between places it is
    linear, in time too.

    Args:
        heat_BTHW: Values of at least 0.
        frames: T.
        size: S.
    """
    highest_B111 = heat_BTHW.amax(dim=(1, 2, 3), keepdim=True)
    even = heat_BTHW / torch.where(highest_B111 > 0, highest_B111, 1.0)
    spread_BCTSS = nn.functional.interpolate(
        even.unsqueeze(1), (frames, size, size), mode="trilinear", align_corners=False
    )
    return spread_BCTSS.squeeze(1).clamp(0, 1)


@contextmanager
def _evaluating(classifier: nn.Module) -> Iterator[None]:
    training = [module for module in classifier.modules() if module.training]
    if training:
        classifier.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _with_gradient_of_lstm(classifier: nn.Module) -> AbstractContextManager[None]:
    # cuDNN gives no gradient through a recurrent layer in evaluation mode; torch's own does
    is_recurrent = any(isinstance(module, nn.RNNBase) for module in classifier.modules())
    return torch.backends.cudnn.flags(enabled=False) if is_recurrent else nullcontext()
