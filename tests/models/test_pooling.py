import pytest
import torch

from finelens.config.schema import ModelConfig
from finelens.errors import ModelError
from finelens.models.build import build_classifier
from finelens.models.freeze import apply_freeze, set_training
from finelens.models.pooling import POOLINGS, create_pooling
from finelens.models.weights import load_weights
from finelens.training.optim import parameter_groups

SMALL = "mobilenetv3_small_050"
SETTINGS = {"mean": {}, "max": {}, "linear": {"frames": 4}, "lstm": {"hidden": 6},
            "attention": {"hidden": 5}}  # fmt: skip
WIDTHS = {"mean": 7, "max": 7, "linear": 28, "lstm": 6, "attention": 7}


def pooling(kind):
    return create_pooling(kind, 7, **SETTINGS[kind])


def classifier_over_time(kind, **settings):
    model = ModelConfig(backbone=SMALL, pretrained=False, pooling=kind, pooling_hidden=6)
    return build_classifier(model, 3, size=32, frames=4, **settings)


@pytest.mark.parametrize("kind", POOLINGS)
def test_every_pooling_gives_one_row_a_clip_of_the_width_it_says(kind):
    pooled = pooling(kind)
    assert pooled(torch.randn(2, 4, 7)).shape == (2, WIDTHS[kind])
    assert pooled.num_features == WIDTHS[kind]
    again = create_pooling(pooled.settings["kind"], 7, **SETTINGS[kind])
    assert again.settings == pooled.settings


def test_mean_max_and_linear_are_what_they_say():
    x_BTF = torch.randn(2, 4, 7)
    frames = x_BTF.unbind(1)
    assert torch.equal(pooling("mean")(x_BTF), x_BTF.mean(1))
    assert torch.equal(pooling("max")(x_BTF), torch.stack(frames).max(0).values)
    assert torch.equal(pooling("linear")(x_BTF), torch.cat(frames, dim=1))


def test_attention_is_ilses_weighted_mean():
    pooled = pooling("attention")
    x_BTF = torch.randn(2, 4, 7)
    weights = pooled.body.state_dict()
    expected = []
    for x_TF in x_BTF:
        hidden = torch.tanh(x_TF @ weights["hidden.weight"].T + weights["hidden.bias"])
        powers = torch.exp(hidden @ weights["score.weight"][0])
        expected.append((powers / powers.sum()) @ x_TF)
    torch.testing.assert_close(pooled(x_BTF), torch.stack(expected))


def test_lstm_is_the_mean_of_the_cells_outputs_over_time():
    pooled = pooling("lstm")
    cell = torch.nn.LSTMCell(7, 6)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = pooled.body.lstm.state_dict()
    cell.load_state_dict({name: weights[f"{name}_l0"] for name in names})
    x_BTF, state, outputs = torch.randn(2, 4, 7), None, []
    for x_BF in x_BTF.unbind(1):
        state = cell(x_BF, state)
        outputs.append(state[0])
    torch.testing.assert_close(pooled(x_BTF), torch.stack(outputs).mean(0))


@pytest.mark.parametrize(
    ("kind", "order_matters"),
    [("mean", False), ("max", False), ("attention", False), ("linear", True), ("lstm", True)],
)
def test_a_reversed_clip_gives_other_logits_where_order_matters(kind, order_matters):
    classifier = classifier_over_time(kind).eval()
    x_BTCHW = torch.randn(2, 4, 3, 32, 32)
    with torch.no_grad():
        logits_BK, reversed_BK = classifier(x_BTCHW), classifier(x_BTCHW.flip(1))
    difference = (logits_BK - reversed_BK).abs().max()
    assert difference > 1e-5 if order_matters else difference < 1e-6


def test_logits_of_mean_pooling_are_those_of_features_averaged_by_hand():
    classifier = classifier_over_time("mean").eval()
    x_BTCHW = torch.randn(2, 4, 3, 32, 32)
    with torch.no_grad():
        frames_NF = classifier.backbone(x_BTCHW.reshape(8, 3, 32, 32))
        by_hand_BF = torch.stack([frames_NF[:4].mean(0), frames_NF[4:].mean(0)])
        assert torch.equal(classifier.features(x_BTCHW), by_hand_BF)
        assert torch.equal(classifier(x_BTCHW), classifier.head(by_hand_BF))


def test_a_picture_is_a_clip_of_one_frame():
    classifier = classifier_over_time("attention").eval()
    x_BCHW = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected_BK = classifier.head(classifier.backbone(x_BCHW))
        assert torch.equal(classifier(x_BCHW), expected_BK)
        assert torch.equal(classifier(x_BCHW.unsqueeze(1)), expected_BK)


@pytest.mark.parametrize("kind", POOLINGS)
def test_gradient_reaches_every_parameter_of_the_pooling_and_the_backbone(kind):
    classifier = classifier_over_time(kind).train()
    x_BTCHW = torch.randn(4, 4, 3, 32, 32)
    torch.nn.functional.cross_entropy(classifier(x_BTCHW), torch.tensor([0, 1, 2, 0])).backward()
    assert all(p.grad is not None and p.grad.any() for p in classifier.pooling.parameters())
    assert classifier.backbone.network.get_parameter("conv_stem.weight").grad.any()


@pytest.mark.parametrize("kind", POOLINGS)
def test_a_frozen_backbone_leaves_pooling_and_head_in_the_group_of_the_head(kind):
    classifier = classifier_over_time(kind)
    apply_freeze(classifier, freeze="backbone")
    set_training(classifier)
    groups = parameter_groups(classifier, lr=0.1, backbone_lr=0.01)
    held = {id(p) for group in groups for p in group["params"]}
    assert {group["name"] for group in groups} == {"head"}
    assert {group["lr"] for group in groups} == {0.1}
    parts = (classifier.pooling, classifier.head)
    assert held == {id(p) for part in parts for p in part.parameters()}
    classifier(torch.randn(2, 4, 3, 32, 32)).sum().backward()


def test_pooling_trained_elsewhere_is_loaded_where_it_fits_and_told_where_not(tmp_path):
    theirs = classifier_over_time("lstm")
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours = classifier_over_time("lstm")
    assert load_weights(ours, tmp_path / "w.pth") == ()
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    other = classifier_over_time("attention")
    dropped = load_weights(other, tmp_path / "w.pth")
    assert "pooling.body.lstm.weight_ih_l0" in dropped
    assert torch.equal(
        other.backbone.state_dict()["network.conv_stem.weight"],
        theirs.backbone.state_dict()["network.conv_stem.weight"],
    )


def test_linear_pooling_refuses_clips_of_another_length():
    classifier = classifier_over_time("linear")
    with pytest.raises(ModelError, match="clips of 4 frames and was given 5"):
        classifier(torch.randn(1, 5, 3, 32, 32))


def test_an_unknown_kind_and_a_foreign_setting_are_told():
    with pytest.raises(ModelError, match=r"did you mean .mean"):
        create_pooling("meen", 7)
    with pytest.raises(TypeError, match="hidden"):
        create_pooling("mean", 7, hidden=3)


@pytest.mark.parametrize(
    ("model", "settings", "told"),
    [
        ({"backbone": "clip:c3d"}, {}, "takes clips, not pictures; set input.frames, such as 30"),
        ({"backbone": "clip:c3d", "pooling": "lstm"}, {"frames": 8}, "set model.pooling to mean"),
        ({"backbone": SMALL, "pooling": "max"}, {}, "max is of clips, and these are pictures"),
        ({"backbone": "inception_v3"}, {"frames": 8, "auxiliary": True}, "loss.auxiliary_weight"),
    ],
)
def test_settings_of_pictures_and_clips_that_do_not_go_together_are_told(model, settings, told):
    with pytest.raises(ModelError, match=told):
        build_classifier(ModelConfig(pretrained=False, **model), 3, **settings)
