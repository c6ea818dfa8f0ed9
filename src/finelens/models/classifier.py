"""The classifier: a backbone and the head on it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from finelens.errors import ModelError
from finelens.models.auxiliary import AuxiliaryClassifier, outputs_of
from finelens.models.backbone import MISFITS, Backbone, one_line
from finelens.models.heads import Head


class Classifier(nn.Module):
    """Pictures to logits.

    State-dict keys begin with ``backbone.network.`` (then timm's or torchvision's own key),
    ``head.body.``, ``head.output.``, or ``auxiliary.`` where there are auxiliary nets.

    Attributes:
        backbone: Pictures to features.
        head: Features to logits.
        auxiliary: Nets that judge middle layers, in training alone; a saved model has none.
        pooling: Of the features of a clip's frames; single pictures have none to pool.
        frozen_parts: Paths of the submodules that ``apply_freeze`` froze whole.
        statistics_are_frozen: Whether batch norms keep their running mean and variance.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        *,
        pooling: str = "mean",
        auxiliary: Iterable[AuxiliaryClassifier] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.auxiliary = nn.ModuleList(auxiliary)
        self.pooling = pooling
        self.frozen_parts: tuple[str, ...] = ()
        self.statistics_are_frozen = False

    def features(self, x_BCHW: Tensor) -> Tensor:
        """Return what the head sees of normalised pictures, shape (B, F)."""
        return self.backbone(x_BCHW)

    def forward(self, x_BCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits of normalised pictures, shape (B, K).

        While training with auxiliary nets: these logits, then those of each net.
        """
        if not (self.training and self.auxiliary):
            return self.head(self.features(x_BCHW))
        nets = self._auxiliary_nets()
        with outputs_of(self.backbone.network, [net.layer for net in nets]) as outputs:
            logits_BK = self.head(self.features(x_BCHW))
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
                    f"{self.backbone.input_spec.size}, or set loss.auxiliary_weight to 0"
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
