import pytest
import timm
import torch
from safetensors.torch import save_file

from finelens.config.schema import HeadConfig, InputConfig, ModelConfig
from finelens.data.images import REDUCING_GAP
from finelens.errors import ModelError
from finelens.models.backbone import InputSpec
from finelens.models.build import build_classifier, build_preprocessing

SPEC = InputSpec(
    size=288, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1), interpolation="bicubic", crop_fraction=0.9
)
SMALL = "mobilenetv3_small_050"


def test_a_recipe_names_backbone_and_head():
    head = HeadConfig(kind="mlp", hidden=8, activation="mish", dropout=0.25)
    model = ModelConfig(backbone="resnet18", pretrained=False, head=head)
    classifier = build_classifier(model, 5)
    assert classifier.backbone.name == "resnet18"
    assert classifier.head.settings == {
        "kind": "mlp", "hidden": 8, "activation": "mish", "dropout": 0.25,
    }  # fmt: skip
    assert classifier(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def test_a_weights_file_replaces_the_download_and_what_was_dropped_is_said(tmp_path):
    theirs = timm.create_model(SMALL)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    model = ModelConfig(backbone=SMALL, pretrained=True, weights=str(tmp_path / "w.safetensors"))
    said = []
    classifier = build_classifier(model, 5, say=said.append)
    loaded = classifier.backbone.network.get_parameter("conv_stem.weight")
    assert torch.equal(loaded, theirs.conv_stem.weight)
    assert len(said) == 1
    assert "classifier.bias, classifier.weight" in said[0]


def test_the_size_of_the_pictures_reaches_a_vision_transformer():
    model = ModelConfig(backbone="vit_tiny_patch16_224", pretrained=False, options={"depth": 1})
    classifier = build_classifier(model, 5, size=64)
    assert classifier(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def test_an_unknown_backbone_is_told():
    with pytest.raises(ModelError, match="did you mean"):
        build_classifier(ModelConfig(backbone="resnet81", pretrained=False), 5)


def test_preprocessing_is_the_backbones_own_where_the_recipe_is_silent():
    found = build_preprocessing(InputConfig(), SPEC)
    assert (found.size, found.mean, found.std) == (288, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert (found.resize, found.crop_fraction, found.interpolation) == ("shorter", 0.9, "bicubic")
    assert found.frames is None


def test_preprocessing_is_the_recipes_where_it_speaks():
    given = InputConfig(size=160, mean=(0.5, 0.5, 0.5), resize="squash", interpolation="bilinear")
    found = build_preprocessing(given, SPEC)
    assert (found.size, found.mean, found.std) == (160, (0.5, 0.5, 0.5), (0.2, 0.2, 0.1))
    assert (found.resize, found.crop_fraction, found.interpolation) == ("squash", 0.9, "bilinear")


@pytest.mark.parametrize(("gap", "least_side"), [(2.0, 640), (3.0, 960), (None, None)])
def test_a_recipe_says_how_much_of_a_big_jpeg_is_decoded(gap, least_side):
    found = build_preprocessing(InputConfig(reducing_gap=gap), SPEC)
    assert (found.reducing_gap, found.least_side) == (gap, least_side)
    assert build_preprocessing(InputConfig(), SPEC).reducing_gap == REDUCING_GAP == 2.0
