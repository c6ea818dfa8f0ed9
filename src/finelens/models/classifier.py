"""The classifier: a backbone, what pools a clip's frames, and the head."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.auxiliary import AuxiliaryClassifier, outputs_of
from finelens.models.backbone import MISFITS, Backbone, one_line
from finelens.models.heads import Head
from finelens.models.pooling import Pooling, mean_pooling


class Classifier(nn.Module):
    """Pictures or clips to logits.

    A picture backbone sees a clip's frames one by one and ``pooling`` joins their features; a
    picture is a clip of one frame. A clip network sees the whole clip, and nothing is pooled.

    State-dict keys begin with ``backbone.network.`` (then timm's or torchvision's own key),
    ``pooling.body.``, ``head.body.``, ``head.output.``, or ``auxiliary.`` where there are
    auxiliary nets.

    Attributes:
        backbone: Pictures, or clips where it is a clip network, to features.
        pooling: The features of frames to those of their clip.
        head: Features to logits.
        auxiliary: Nets that judge middle layers, in training alone; a saved model has none.
        frozen_parts: Paths of the submodules that ``apply_freeze`` froze whole.
        statistics_are_frozen: Whether batch norms keep their running mean and variance.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        *,
        pooling: Pooling | None = None,
        auxiliary: Iterable[AuxiliaryClassifier] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling or mean_pooling(backbone.num_features)
        self.head = head
        self.auxiliary = nn.ModuleList(auxiliary)
        self.frozen_parts: tuple[str, ...] = ()
        self.statistics_are_frozen = False

    def frame_features(self, x: Tensor) -> Tensor:
        """Return a picture backbone's features of every frame, float32 (B, T, F).

        Args:
            x: Normalised pictures (B, C, H, W), of which T is 1, or clips (B, T, C, H, W).
        """
        if x.ndim == 4:
            return self.backbone(x).unsqueeze(1).float()
        # picture backbones know no clips: fold T into B
        return self.backbone(x.flatten(0, 1)).unflatten(0, x.shape[:2]).float()

    def features(self, x: Tensor) -> Tensor:
        """Return what the head sees of normalised pictures or clips, shape (B, P).

        Args:
            x: Shape (B, C, H, W) or (B, T, C, H, W).

        Raises:
            ModelError: If a clip network is given pictures, or the pooling other clips than
                those it was built for.
        """
        if self.backbone.takes_clips:
            return self.backbone(x)
        return self.pooling(self.frame_features(x))

    def backbone_features(self, x: Tensor) -> Tensor:
        """Return what ``tail`` takes, which no update changes where the backbone is frozen.

        Shape (B, P), or that of ``frame_features`` where the pooling has weights of its own.
        """
        return self.frame_features(x) if self.pools_by_weights else self.features(x)

    @property
    def tail(self) -> nn.Module:
        """Return what makes logits of ``backbone_features``: the head, or a pooling and it."""
        return nn.Sequential(self.pooling, self.head) if self.pools_by_weights else self.head

    @property
    def pools_by_weights(self) -> bool:
        """Return whether the pooling has weights of its own."""
        return any(True for _ in self.pooling.parameters())

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits of normalised pictures or clips, shape (B, K).

        While training with auxiliary nets: these logits, then those of each net.
        """
        if not (self.training and self.auxiliary):
            return self.head(self.features(x))
        nets = self._auxiliary_nets()
        with outputs_of(self.backbone.network, [net.layer for net in nets]) as outputs:
            logits_BK = self.head(self.features(x))
        return logits_BK, *(net(outputs[net.layer]) for net in nets)

    def check_size(self, size: int) -> None:
        """Raise where the backbone or an auxiliary net takes no pictures of a size, pixels.

        Raises:
            ModelError: With the mend.
        """
        nets = self._auxiliary_nets()
        with outputs_of(self.backbone.network, [net.layer for net in nets]) as outputs:
            self.backbone.check_size(size)
        for net in nets:
            modes = {module: module.training for module in net.modules()}
            try:
                with torch.no_grad():
                    net.eval()(outputs[net.layer])
            except MISFITS as error:
                raise ModelError(
                    f'auxiliary net "{net.name}" takes no pictures of {size} x {size} pixels: '
                    f"{one_line(error)}; the network's own size is "
                    f"{self.backbone.input_spec.size}: raise input.size or the phase's scale, "
                    "or set loss.auxiliary_weight to 0"
                ) from error
            finally:
                for module, mode in modes.items():
                    module.training = mode

    def drop_auxiliary(self) -> None:
        """Forget the auxiliary nets: they have done their work when training ends."""
        self.auxiliary = nn.ModuleList()

    def _auxiliary_nets(self) -> list[AuxiliaryClassifier]:
        return [net for net in self.auxiliary if isinstance(net, AuxiliaryClassifier)]

    @property
    def has_fixed_features(self) -> bool:
        """Return whether the tail alone trains, on what no update changes."""
        return "backbone" in self.frozen_parts and not self.auxiliary

    @property
    def num_features(self) -> int:
        """Return P, the width of what the head sees."""
        return self.pooling.num_features

    @property
    def frames(self) -> int | None:
        """Return T where it was built for clips of that length, else None."""
        return self.backbone.input_spec.frames or self.pooling.frames

    @property
    def head_output(self) -> nn.Linear:
        """Return the last linear layer: weight (K, its inputs) and bias (K,)."""
        return self.head.output

    @property
    def num_classes(self) -> int:
        """Return K."""
        return self.head_output.out_features

    @property
    def num_parameters(self) -> int:
        """Return how many weights there are."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def num_trainable_parameters(self) -> int:
        """Return how many weights are not frozen."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
