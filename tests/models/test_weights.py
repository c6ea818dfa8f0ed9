import os
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from finelens.errors import ModelError
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.heads import create_head
from finelens.models.weights import load_weights, read_safetensors, write_safetensors

# beside the checkout, where the project's measuring data lies; not part of the repository
REAL_WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights"
ROWS = ("classifier.bias", "classifier.weight")


@pytest.fixture
def theirs():
    return timm.create_model("mobilenetv3_small_050").eval()


def check_same_features(classifier, theirs):
    x_BCHW = torch.randn(2, 3, 64, 64)
    classifier.eval()
    with torch.no_grad():
        expected_BF = theirs.forward_head(theirs.forward_features(x_BCHW), pre_logits=True)
        assert torch.equal(classifier.features(x_BCHW), expected_BF)


def test_a_timm_file_gives_timms_features_and_drops_its_1000_classes(
    make_classifier, theirs, tmp_path
):
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    classifier = make_classifier()
    head = classifier.head_output.weight.clone()
    assert load_weights(classifier, tmp_path / "w.safetensors") == ROWS
    check_same_features(classifier, theirs)
    assert torch.equal(classifier.head_output.weight, head)


def test_a_classifier_that_fits_is_taken_into_the_head(make_classifier, theirs, tmp_path):
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    classifier = make_classifier(num_classes=1000).eval()
    assert load_weights(classifier, tmp_path / "w.safetensors") == ()
    x_BCHW = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(classifier(x_BCHW), theirs(x_BCHW))


def test_an_mlp_head_takes_no_linear_classifier(make_classifier, theirs, tmp_path):
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    classifier = make_classifier(num_classes=1000, kind="mlp")
    assert load_weights(classifier, tmp_path / "w.safetensors") == ROWS


@pytest.mark.parametrize("wrapper", ["state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_torch_file_is_unwrapped(make_classifier, theirs, tmp_path, wrapper, prefix):
    state = {prefix + key: value for key, value in theirs.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "w.pth")
    classifier = make_classifier()
    assert load_weights(classifier, tmp_path / "w.pth") == ROWS
    check_same_features(classifier, theirs)


def test_our_own_weights_come_back_with_their_head(make_classifier, tmp_path):
    first, second = make_classifier(), make_classifier()
    save_file(first.state_dict(), tmp_path / "w.safetensors")
    assert load_weights(second, tmp_path / "w.safetensors") == ()
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value)


def test_our_own_head_of_other_classes_is_dropped_whole(make_classifier, tmp_path):
    first, second = make_classifier(num_classes=3), make_classifier(num_classes=4)
    save_file(first.state_dict(), tmp_path / "w.safetensors")
    dropped = load_weights(second, tmp_path / "w.safetensors")
    assert dropped == ("head.output.bias", "head.output.weight")


def test_auxiliary_classifiers_of_a_file_are_dropped(make_classifier, tmp_path):
    classifier = make_classifier("torchvision:googlenet")
    state = dict(classifier.backbone.network.state_dict())
    extra = {"fc.weight": torch.ones(1000, 1024), "aux1.fc2.bias": torch.ones(1000)}
    save_file(state | extra, tmp_path / "w.safetensors")
    assert load_weights(classifier, tmp_path / "w.safetensors") == ("aux1.fc2.bias", "fc.weight")


def test_position_embeddings_are_resampled_to_another_size(tmp_path):
    theirs = timm.create_model("vit_tiny_patch16_224", depth=1)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    backbone = create_backbone("vit_tiny_patch16_224", options={"depth": 1}, size=96)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3))
    assert load_weights(classifier, tmp_path / "w.safetensors") == ("head.bias", "head.weight")
    expected = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=96)
    timm.models.load_checkpoint(
        expected, str(tmp_path / "w.safetensors"),
        filter_fn=timm.models.vision_transformer.checkpoint_filter_fn,
    )  # fmt: skip
    network = backbone.network
    assert torch.equal(network.get_parameter("pos_embed"), expected.pos_embed)
    assert torch.equal(network.get_parameter("cls_token"), theirs.cls_token)


def test_weights_of_another_network_name_the_first_keys_and_change_nothing(
    make_classifier, tmp_path
):
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
    classifier = make_classifier()
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    with pytest.raises(ModelError, match=r'"conv_stem.weight" is missing.* and .* more') as raised:
        load_weights(classifier, tmp_path / "w.safetensors")
    assert 'do not fit backbone "mobilenetv3_small_050"' in str(raised.value)
    assert all(torch.equal(before[key], value) for key, value in classifier.state_dict().items())


def test_a_misshapen_weight_is_told_with_both_shapes(make_classifier, theirs, tmp_path):
    state = theirs.state_dict() | {"conv_stem.weight": torch.ones(16, 1, 3, 3)}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r'"conv_stem.weight" is \[16, 1, 3, 3\], not \[16, 3'):
        load_weights(make_classifier(), tmp_path / "w.safetensors")


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def test_a_file_that_would_run_code_is_refused(make_classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Payload()}, "w.pth")
    with pytest.raises(ModelError, match="save the state dict alone"):
        load_weights(make_classifier(), "w.pth")
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"not weights", bytes(range(256)) * 8])
def test_a_foreign_file_is_named(make_classifier, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load_weights(make_classifier(), tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_truncated_file_is_named(make_classifier, theirs, tmp_path, name):
    save = save_file if name == "w.safetensors" else torch.save
    save(theirs.state_dict(), tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:10_000])
    with pytest.raises(ModelError, match=name):
        load_weights(make_classifier(), tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_missing_file_is_named(make_classifier, tmp_path, name):
    with pytest.raises(ModelError, match=f"{name} cannot be read: No such file"):
        load_weights(make_classifier(), tmp_path / name)


def test_a_file_of_other_things_than_tensors_names_the_first(make_classifier, tmp_path):
    torch.save({"epoch": 3, "fc.weight": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match='"epoch" is no tensor'):
        load_weights(make_classifier(), tmp_path / "w.pth")
    torch.save([torch.ones(2)], tmp_path / "w.pth")
    with pytest.raises(ModelError, match="hold no state dict"):
        load_weights(make_classifier(), tmp_path / "w.pth")


@pytest.mark.skipif(not REAL_WEIGHTS.is_dir(), reason="the measuring data is not here")
@pytest.mark.parametrize(
    ("file", "name", "options", "dropped"),
    [
        ("mobilenetv2_100", "mobilenetv2_100", {"pad_type": "same"}, ROWS),
        ("squeezenet1_0", "torchvision:squeezenet1_0", {},
         ("classifier.1.bias", "classifier.1.weight")),
    ],
)  # fmt: skip
def test_real_imagenet_weights_load(file, name, options, dropped):
    backbone = create_backbone(name, options=options)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 3))
    assert load_weights(classifier, REAL_WEIGHTS / f"{file}.imagenet.safetensors") == dropped


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_written_weights_may_be_read_by_whoever_may_read_a_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        (tmp_path / "plain").touch()
        write_safetensors(tmp_path / "w.safetensors", {"weight": torch.arange(3.0)})
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "w.safetensors")]
    assert modes[0] == modes[1]
    assert read_safetensors(tmp_path / "w.safetensors")["weight"].tolist() == [0, 1, 2]
