import pytest
import torch

from finelens.config.schema import ModelConfig
from finelens.models.build import build_classifier
from finelens.models.memory_format import in_format, to_channels_last


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("mobilenetv3_small_050", {}),
        ("clip:c3d", {"width": 2, "dense": 8}),
        ("clip:vgg9", {"width": 2, "dense": 8}),
        ("clip:cnn-lstm", {}),
        ("torchvision:mc3_18", {}),
    ],
)
def test_clips_give_the_same_logits_channels_last(backbone, options):
    model = ModelConfig(backbone=backbone, pretrained=False, options=options)
    classifier = build_classifier(model, 3, frames=8, size=32).eval()
    x_BTCHW = torch.randn(2, 8, 3, 32, 32)
    with torch.no_grad():
        expected_BK = classifier(x_BTCHW)
        assert to_channels_last(classifier) is classifier
        torch.testing.assert_close(
            classifier(in_format(x_BTCHW, channels_last=True)), expected_BK, atol=1e-4, rtol=1e-4
        )


def test_only_the_memory_is_other():
    x_BTCHW, x_BCHW = torch.randn(2, 8, 3, 32, 32), torch.randn(2, 3, 32, 32)
    assert torch.equal(in_format(x_BTCHW, channels_last=True), x_BTCHW)
    assert in_format(x_BTCHW, channels_last=True).stride() == (8 * 3072, 3072, 1, 96, 3)
    pictures_BCHW = in_format(x_BCHW, channels_last=True)
    assert pictures_BCHW.stride() == (3072, 1, 96, 3)
    assert in_format(pictures_BCHW, channels_last=False).stride() == x_BCHW.stride()


def test_weights_of_picture_convolutions_are_channels_last_and_others_as_they_were():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(3, 4, 3), torch.nn.Linear(2, 2)
    )
    to_channels_last(network)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous()
