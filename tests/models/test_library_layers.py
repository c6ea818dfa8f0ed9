import pytest
import torch
from timm.layers import BatchNormAct2d, ScaledStdConv2d
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torchvision.models.video.resnet import Conv3DSimple

from finelens.models.library_layers import after_norm, convolution_of


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (1, 4, 9, 9)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", bias=False), (1, 4, 9, 9)),
        (nn.Conv3d(2, 3, 3, dilation=2), (1, 2, 7, 7, 7)),
        (Conv2dSame(4, 6, 3, stride=2), (1, 4, 9, 9)),
        (Conv3DSimple(2, 3, stride=2), (1, 2, 7, 7, 7)),
    ],
)
def test_a_convolution_is_a_function_of_input_weight_and_bias(layer, shape):
    x, convolve = torch.randn(shape), convolution_of(layer)
    assert convolve is not None
    assert torch.equal(convolve(x, layer.weight, layer.bias), layer(x))


def test_a_convolution_that_standardises_its_weight_is_none():
    assert convolution_of(ScaledStdConv2d(4, 6, 3)) is None
    assert convolution_of(nn.ConvTranspose2d(4, 6, 3)) is None


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), BatchNormAct2d(4, act_layer=nn.SiLU)])
def test_what_comes_after_a_norm_is_told_apart(norm):
    x, norm = torch.randn(2, 4, 5, 5), norm.eval()
    finish = after_norm(norm)
    assert finish is not None
    normalised = nn.functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias
    )
    torch.testing.assert_close(finish(normalised), norm(x))


def test_a_norm_over_processes_is_of_a_kind_not_known():
    assert after_norm(nn.SyncBatchNorm(4)) is None
