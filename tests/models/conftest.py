import pytest
import torch

from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.heads import create_head


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def make_classifier():
    """Build a classifier with random weights: the backbone's name, K, then the head's kind."""

    def make(name="mobilenetv3_small_050", num_classes=3, kind="linear", **settings):
        backbone = create_backbone(name)
        return Classifier(
            backbone, create_head(kind, backbone.num_features, num_classes, **settings)
        )

    return make
