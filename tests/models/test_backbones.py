import huggingface_hub.constants
import pytest
import timm
import torch
import torchvision.models
from torch import nn

from finelens.errors import ModelError
from finelens.models.backbone import Backbone, InputSpec
from finelens.models.backbones import backbone_names, create_backbone

TIMM = [
    "resnet18",
    "mobilenetv3_small_050",
    "vit_tiny_patch16_224",
    "efficientnet_b0",
    "convnext_atto",
]
TORCHVISION = {
    "alexnet": "classifier.6",
    "vgg11": "classifier.6",
    "densenet121": "classifier",
    "mobilenet_v2": "classifier.1",
    "resnet18": "fc",
    "inception_v3": "fc",
}


def noise(size, num=2):
    return torch.randn(num, 3, size, size)


@pytest.mark.parametrize("name", TIMM)
def test_features_then_timms_own_classifier_are_timms_own_logits(name):
    theirs = timm.create_model(name).eval()
    backbone = create_backbone(name).eval()
    backbone.network.load_state_dict(theirs.state_dict(), strict=False)
    x_BCHW = noise(224)
    with torch.no_grad():
        features_BF = backbone(x_BCHW)
        assert torch.equal(theirs.get_classifier()(features_BF), theirs(x_BCHW))
    assert features_BF.shape == (2, backbone.num_features)
    assert theirs.get_submodule(backbone.classifier_names[0]) is theirs.get_classifier()


@pytest.mark.parametrize(("name", "classifier"), TORCHVISION.items())
def test_features_then_torchvisions_own_classifier_are_torchvisions_own_logits(name, classifier):
    options = {"init_weights": False} if name in {"vgg11", "inception_v3"} else {}
    backbone = create_backbone(f"torchvision:{name}", options=options).eval()
    assert backbone.classifier_names[0] == classifier
    theirs = filled_network(name, backbone.network, classifier)
    x_BCHW = noise(backbone.input_spec.size, 1)
    with torch.no_grad():
        features_BF = backbone(x_BCHW)
        assert torch.equal(theirs.get_submodule(classifier)(features_BF), theirs(x_BCHW))
    assert features_BF.shape == (1, backbone.num_features)


def filled_network(name, network, classifier):
    """Return torchvision's whole network with our weights, spared its slow initialisation."""
    settings = {"transform_input": True, "init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, **settings)
    theirs.to_empty(device="cpu").eval().load_state_dict(network.state_dict(), strict=False)
    theirs.get_submodule(classifier).reset_parameters()
    return theirs


def test_squeezenets_convolutional_classifier_is_removed_and_its_features_pooled():
    backbone = create_backbone("torchvision:squeezenet1_0").eval()
    x_BCHW = noise(96)
    with torch.no_grad():
        expected_BF = backbone.network.get_submodule("features")(x_BCHW).mean(dim=(2, 3))
        assert torch.allclose(backbone(x_BCHW), expected_BF, atol=1e-6)
    assert backbone.num_features == 512
    assert backbone.classifier_names[0] == "classifier.1"


def test_training_mode_gives_features_of_networks_with_auxiliary_classifiers():
    backbone = create_backbone("torchvision:googlenet").train()
    assert backbone(noise(64)).shape == (2, 1024)


def test_the_width_is_that_of_the_features_where_a_layer_follows_the_pooling():
    backbone = create_backbone("mobilenetv3_small_050")
    network: nn.Module = backbone.network
    assert backbone.num_features == network.get_submodule("conv_head").out_channels
    assert backbone.num_features != network.num_features


def test_the_input_is_timms_own():
    spec = create_backbone("resnet18.a1_in1k").input_spec
    assert (spec.size, spec.crop_fraction, spec.interpolation) == (224, 0.95, "bicubic")
    assert spec.mean == (0.485, 0.456, 0.406)
    assert create_backbone("vit_tiny_patch16_224").input_spec.mean == (0.5, 0.5, 0.5)


def test_the_input_is_that_of_torchvisions_weights():
    spec = create_backbone("torchvision:inception_v3").input_spec
    assert (spec.size, spec.interpolation) == (299, "bilinear")
    assert spec.crop_fraction == pytest.approx(299 / 342)
    assert spec.std == (0.229, 0.224, 0.225)


def test_a_vision_transformer_is_built_for_the_size_it_will_see():
    ours = create_backbone("vit_tiny_patch16_224", size=96)
    assert ours.options == {"img_size": 96}
    assert ours(noise(96)).shape == (2, 192)


def test_torchvisions_vision_transformer_is_built_for_the_size_it_will_see():
    backbone = create_backbone("torchvision:vit_b_32", size=64)
    assert backbone.options == {"image_size": 64}
    assert backbone(noise(64)).shape == (2, 768)


def test_a_convolutional_network_needs_no_option_for_another_size():
    backbone = create_backbone("mobilenetv3_small_050", size=96)
    assert backbone.options == {}


def test_a_size_that_does_not_fit_is_told_with_the_networks_own():
    with pytest.raises(
        ModelError, match=r'"torchvision:alexnet" takes no pictures of 32 x 32.*224'
    ):
        create_backbone("torchvision:alexnet", size=32)
    backbone = create_backbone("vit_tiny_patch16_224", size=96)
    with pytest.raises(ModelError, match="96"):
        backbone.check_size(224)


@pytest.mark.parametrize(("size", "width"), [(None, 3 * 8 * 8), (4, 3 * 4 * 4)])
def test_its_width_is_that_of_the_pictures_it_will_see(size, width):
    spec = InputSpec(8, (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    backbone = Backbone(
        nn.Flatten(), name="own", options={}, input_spec=spec, classifier_names=(), size=size
    )
    assert backbone.num_features == width


def test_a_network_meets_no_picture_of_its_own_size_where_another_is_wanted(monkeypatch):
    sides = []
    zeros = torch.zeros
    monkeypatch.setattr(
        torch, "zeros", lambda *shape, **more: (sides.append(shape[-1:]), zeros(*shape, **more))[1]
    )
    assert create_backbone("efficientnet_b0", size=64).input_spec.size == 224
    assert (64,) in sides
    assert (224,) not in sides


def test_checking_a_size_leaves_every_mode_as_it_was():
    backbone = create_backbone("resnet18").train()
    backbone.network.get_submodule("bn1").eval()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.check_size(64)
    assert not backbone.network.get_submodule("bn1").training
    assert backbone.network.get_submodule("layer1").training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_an_option_reaches_the_network():
    network = create_backbone("mobilenetv2_100", options={"pad_type": "same"}).network
    assert type(network.get_submodule("conv_stem")).__name__ == "Conv2dSame"


@pytest.mark.parametrize("name", ["resnet18", "torchvision:resnet18"])
def test_an_unknown_option_is_named(name):
    with pytest.raises(ModelError, match='"pad_typ" is no option of backbone'):
        create_backbone(name, options={"pad_typ": "same"})


def test_an_option_of_a_wrong_value_is_told():
    with pytest.raises(ModelError, match=r"cannot be built with model.options .*'block': 'x'"):
        create_backbone("resnet18", options={"block": "x"})


@pytest.mark.parametrize("option", ["num_classes", "checkpoint_path", "pretrained"])
def test_an_option_that_would_make_another_network_or_read_a_file_is_refused(option):
    with pytest.raises(ModelError, match=f'"{option}" is set by finelens itself'):
        create_backbone("resnet18", options={option: 1})


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("resnet81", '"resnet18"'),
        ("alexnet", '"torchvision:alexnet"'),
        ("torchvision:squeezenet1", '"torchvision:squeezenet1_0"'),
        ("torchvision:fcn_resnet50", "did you mean"),
        ("resnet18.a1_in1", '"resnet18.a1_in1k"'),
    ],
)
def test_an_unknown_name_gets_the_nearest(wrong, near):
    with pytest.raises(ModelError) as raised:
        create_backbone(wrong)
    assert near in str(raised.value)
    assert f'"{wrong}"' in str(raised.value)


def test_a_hub_address_is_no_backbone():
    with pytest.raises(ModelError, match="unknown"):
        create_backbone("hf-hub:timm/resnet18.a1_in1k")


def test_every_classification_network_has_a_name():
    names = backbone_names()
    assert "resnet18" in names
    assert "torchvision:vit_b_16" in names
    assert not any("quantized" in name or "fcn" in name for name in names if ":" in name)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "torchvision:squeezenet1_0"])
def test_pretrained_weights_out_of_reach_say_how_to_give_a_file(name, monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # a port that nobody listens on: out of reach, whatever the network of the machine
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be downloaded") as raised:
        create_backbone(name, pretrained=True)
    assert "--set model.weights=FILE" in str(raised.value)
    assert "--set model.pretrained=false" in str(raised.value)


def test_a_network_that_has_no_pretrained_weights_is_named():
    with pytest.raises(ModelError, match='"botnet50ts_256" cannot be built: No pretrained'):
        create_backbone("botnet50ts_256", pretrained=True)


@pytest.mark.parametrize(
    ("name", "num_features", "size"),
    [("r3d_18", 512, 32), ("mc3_18", 512, 32), ("r2plus1d_18", 512, 32), ("s3d", 1024, 224)],
)
def test_features_then_the_video_networks_own_classifier_are_torchvisions_own_logits(
    name, num_features, size
):
    backbone = create_backbone(f"torchvision:{name}", size=size, frames=14).eval()
    classifier = backbone.classifier_names[0]
    assert classifier == ("classifier.1" if name == "s3d" else "fc")
    assert (backbone.takes_clips, backbone.input_spec.frames) == (True, 14)
    assert backbone.num_features == num_features
    x_BTCHW = torch.randn(1, 14, 3, size, size)
    theirs = filled_network(name, backbone.network, classifier)
    own = theirs.get_submodule(classifier)
    with torch.no_grad():
        features_BF = backbone(x_BTCHW)
        shaped = features_BF[:, :, None, None, None] if name == "s3d" else features_BF
        logits_BK = own(shaped).flatten(1)
        expected_BK = theirs(x_BTCHW.transpose(1, 2))
    torch.testing.assert_close(logits_BK, expected_BK, atol=1e-4, rtol=1e-4)


def test_the_input_of_a_video_network_is_that_of_its_kinetics_weights():
    spec = create_backbone("torchvision:mc3_18").input_spec
    assert (spec.size, spec.frames, spec.crop_fraction) == (112, 16, 112 / 128)
    assert spec.mean == (0.43216, 0.394666, 0.37645)
    assert spec.std == (0.22803, 0.22145, 0.216989)


def test_a_video_network_tells_clips_that_are_too_small_for_it():
    with pytest.raises(ModelError, match=r"takes no clips of 64 x 64 pixels.*input.size is 224"):
        create_backbone("torchvision:s3d", size=64)


def test_video_and_clip_networks_are_listed_with_the_others():
    names = backbone_names()
    assert {"clip:c3d", "clip:vgg9", "clip:cnn-lstm", "torchvision:r3d_18"} <= set(names)
    assert list(names) == [*sorted(n for n in names if ":" not in n),
                           *sorted(n for n in names if ":" in n)]  # fmt: skip


def test_a_picture_backbone_refuses_clips_and_a_video_network_pictures():
    with pytest.raises(ModelError, match=r"takes pictures \(B, C, H, W\), not shape \(2, 8,"):
        create_backbone("mobilenetv3_small_050")(torch.randn(2, 8, 3, 32, 32))
    with pytest.raises(ModelError, match=r"takes clips .*; set input.frames"):
        create_backbone("torchvision:mc3_18")(torch.randn(2, 3, 32, 32))
