"""The classifier: a backbone and the head on it."""

from __future__ import annotations

from torch import Tensor, nn

from finelens.models.backbone import Backbone
from finelens.models.heads import Head


class Classifier(nn.Module):
    """Pictures to logits.

    State-dict keys begin with ``backbone.network.`` (then timm's or torchvision's own key),
    ``head.body.`` or ``head.output.``.

    Attributes:
        backbone: Pictures to features.
        head: Features to logits.
        pooling: Of the features of a clip's frames; single pictures have none to pool.
        frozen_parts: Paths of the submodules that ``apply_freeze`` froze whole.
        statistics_are_frozen: Whether batch norms keep their running mean and variance.
    """

    def __init__(self, backbone: Backbone, head: Head, *, pooling: str = "mean") -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.pooling = pooling
        self.frozen_parts: tuple[str, ...] = ()
        self.statistics_are_frozen = False

    def features(self, x_BCHW: Tensor) -> Tensor:
        """Return what the head sees of normalised pictures, shape (B, F)."""
        return self.backbone(x_BCHW)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the logits of normalised pictures, shape (B, K)."""
        return self.head(self.features(x_BCHW))

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
