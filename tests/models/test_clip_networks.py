import pytest
import torch
import torch.nn.functional as F

from finelens.errors import ModelError
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.freeze import apply_freeze, set_training
from finelens.models.heads import create_head
from finelens.models.stages import stages

NAMES = ["clip:c3d", "clip:cnn-lstm", "clip:vgg9"]
SMALL = {
    "clip:c3d": {"width": 2, "dense": 5},
    "clip:cnn-lstm": {"channels": (2, 3, 4), "hidden": 5},
    "clip:vgg9": {"width": 2, "dense": 5, "outputs": 3},
}


def clips(num=2, frames=9, size=34):
    return torch.randn(num, frames, 3, size, size)


def small(name, *, frames=9, size=34, **options):
    return create_backbone(name, options=SMALL[name] | options, frames=frames, size=size)


def reference_block(x, weights, key, convolve, padding, pool, *, batch_norm):
    """Convolve, normalise by the batch, rectify and pool with torch's functions alone."""
    x = convolve(x, weights[f"{key}.0.weight"], weights.get(f"{key}.0.bias"), padding=padding)
    if batch_norm:
        x = F.batch_norm(
            x, None, None, weights[f"{key}.1.weight"], weights[f"{key}.1.bias"], training=True
        )
    x = x.clamp(min=0)
    return x if pool is None else pool(x)


def reference_c3d(x_BTCHW, weights, *, batch_norm):
    x = x_BTCHW.permute(0, 2, 1, 3, 4)
    pools = [(1, 2, 2), (2, 2, 2), None, (2, 2, 2), None, (2, 2, 2)]
    for n, size in enumerate(pools):
        pool = None if size is None else (lambda maps, size=size: F.max_pool3d(maps, size, size))
        key = f"convolutions.{n}"
        x = reference_block(x, weights, key, F.conv3d, 1, pool, batch_norm=batch_norm)
    return reference_dense(x.flatten(1), weights, 2)


def reference_vgg9(x_BTCHW, weights, *, batch_norm):
    x = x_BTCHW.reshape(-1, *x_BTCHW.shape[2:])
    for n in range(6):
        pool = (lambda maps: F.max_pool2d(maps, 2, 2)) if n in {0, 1, 3, 5} else None
        key = f"convolutions.{n}"
        x = reference_block(x, weights, key, F.conv2d, 1, pool, batch_norm=batch_norm)
    x = reference_dense(x.flatten(1), weights, 2)
    outputs = x @ weights["dense.2.weight"].T + weights["dense.2.bias"]
    return outputs.reshape(len(x_BTCHW), -1)


def reference_cnn_lstm(x_BTCHW, weights, *, batch_norm):
    x = x_BTCHW.reshape(-1, *x_BTCHW.shape[2:])
    for n in range(3):
        key = f"convolutions.{n}"
        x = reference_block(
            x, weights, key, F.conv2d, 0, lambda maps: F.max_pool2d(maps, 2), batch_norm=batch_norm
        )
    x_BTF = x.reshape(*x_BTCHW.shape[:2], -1)
    return reference_lstm(x_BTF, weights, "lstm.").flatten(1)


def reference_dense(x, weights, num_layers):
    for n in range(num_layers):
        x = (x @ weights[f"dense.{n}.0.weight"].T + weights[f"dense.{n}.0.bias"]).clamp(min=0)
    return x


def reference_lstm(x_BTF, weights, prefix):
    """Hochreiter and Schmidhuber's cell with a forget gate, written out; outputs (B, T, hidden)."""
    of_input, of_state, bias_input, bias_state = (
        weights[f"{prefix}{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state = cell = torch.zeros(len(x_BTF), of_state.shape[1])
    outputs = []
    for x_BF in x_BTF.unbind(1):
        sums = x_BF @ of_input.T + bias_input + state @ of_state.T + bias_state
        enter, forget, new, leave = sums.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        state = leave.sigmoid() * cell.tanh()
        outputs.append(state)
    return torch.stack(outputs, dim=1)


REFERENCES = {
    "clip:c3d": reference_c3d,
    "clip:cnn-lstm": reference_cnn_lstm,
    "clip:vgg9": reference_vgg9,
}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_layers_written_out(name, batch_norm):
    backbone = small(name, batch_norm=batch_norm).train()
    for parameter in backbone.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    x_BTCHW = clips()
    expected = REFERENCES[name](x_BTCHW, backbone.network.state_dict(), batch_norm=batch_norm)
    found = backbone(x_BTCHW)
    assert found.shape == (2, backbone.num_features)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# by hand, from the systems' description at 30 frames of 64 x 64 pixels and 11 classes
C3D = [
    3 * 27 * 64 + 64, 64 * 27 * 128 + 128, 128 * 27 * 256 + 256, 256 * 27 * 256 + 256,
    256 * 27 * 512 + 512, 512 * 27 * 512 + 512,
    512 * 3 * 4 * 4 * 1024 + 1024, 1024 * 1024 + 1024, 1024 * 11 + 11,
]  # fmt: skip
VGG9 = [
    3 * 9 * 64 + 64, 64 * 9 * 128 + 128, 128 * 9 * 256 + 256, 256 * 9 * 256 + 256,
    256 * 9 * 512 + 512, 512 * 9 * 512 + 512,
    512 * 4 * 4 * 2048 + 2048, 2048 * 2048 + 2048, 2048 * 500 + 500, 30 * 500 * 11 + 11,
]  # fmt: skip
CNN_LSTM = [
    3 * 4 * 8 + 8, 8 * 9 * 16 + 16, 16 * 25 * 32 + 32,
    4 * 128 * (32 * 5 * 5 + 128 + 2), 30 * 128 * 11 + 11,
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "counts"), [("clip:c3d", C3D), ("clip:vgg9", VGG9), ("clip:cnn-lstm", CNN_LSTM)]
)
def test_parameters_are_those_counted_by_hand(name, counts):
    backbone = create_backbone(name)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 11))
    layers = [*backbone.network.modules(), classifier.head.output]
    found = [
        sum(p.numel() for p in layer.parameters())
        for layer in layers
        if [*layer.parameters(recurse=False)]
    ]
    assert found == counts
    assert backbone.options["frames"] == 30
    assert backbone.options["size"] == 64
    assert (backbone.input_spec.frames, backbone.input_spec.size) == (30, 64)


@pytest.mark.parametrize("init", ["default", "normal-0.1"])
@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name, init):
    options = {} if name == "clip:cnn-lstm" else {"width": 8, "dense": 32}
    backbone = create_backbone(name, options={"init": init} | options, frames=9, size=34)
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 4)).train()
    F.cross_entropy(classifier(clips(4)), torch.arange(4)).backward()
    without = [
        name for name, p in classifier.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert without == []


def test_averaged_frames_of_vgg9_are_the_mean_of_flattened_ones():
    flat, averaged = (small("clip:vgg9", average=average).eval() for average in (False, True))
    averaged.load_state_dict(flat.state_dict())
    x_BTCHW = clips()
    assert averaged.num_features == 3
    torch.testing.assert_close(averaged(x_BTCHW), flat(x_BTCHW).unflatten(1, (9, 3)).mean(1))


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_alone(name):
    backbone = small(name, dropout=0.5)
    if name != "clip:cnn-lstm":
        backbone = small(name, dropout=0.5, dense=64)
    x_BTCHW = clips()
    assert not torch.equal(backbone.train()(x_BTCHW), backbone(x_BTCHW))
    assert torch.equal(backbone.eval()(x_BTCHW), backbone(x_BTCHW))


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_the_layers_and_freezing_until_one_leaves_the_later_ones(name):
    backbone = small(name, batch_norm=True)
    paths = [path for path, _ in stages(backbone)]
    num_convolutions = 3 if name == "clip:cnn-lstm" else 6
    assert paths[:num_convolutions] == [f"convolutions.{n}" for n in range(num_convolutions)]
    assert paths[-1] == ("lstm" if name == "clip:cnn-lstm" else "dense")
    classifier = Classifier(backbone, create_head("linear", backbone.num_features, 4))
    apply_freeze(classifier, freeze="until:convolutions.1")
    set_training(classifier)
    trainable = {key for key, p in backbone.network.named_parameters() if p.requires_grad}
    assert trainable == {
        key
        for key, _ in backbone.network.named_parameters()
        if not key.startswith(("convolutions.0.", "convolutions.1."))
    }
    F.cross_entropy(classifier(clips(4)), torch.arange(4)).backward()


@pytest.mark.parametrize(
    ("name", "frames", "size", "told"),
    [
        ("clip:c3d", 7, 64, "8 frames of 16 x 16 pixels or more, not 7 of 64 x 64"),
        ("clip:c3d", 30, 15, "not 30 of 15 x 15"),
        ("clip:vgg9", 30, 15, "not 30 of 15 x 15"),
        ("clip:cnn-lstm", 30, 28, "29 x 29 pixels or more"),
    ],
)
def test_clips_too_short_or_small_are_told(name, frames, size, told):
    with pytest.raises(ModelError, match=told):
        create_backbone(name, frames=frames, size=size)


@pytest.mark.parametrize(("name", "frames", "size"), [
    ("clip:c3d", 8, 16), ("clip:vgg9", 1, 16), ("clip:cnn-lstm", 1, 29),
])  # fmt: skip
def test_the_smallest_clips_are_taken(name, frames, size):
    backbone = small(name, frames=frames, size=size)
    assert backbone(clips(1, frames, size)).shape == (1, backbone.num_features)


@pytest.mark.parametrize("name", NAMES)
def test_a_size_it_was_not_built_for_is_refused(name):
    backbone = small(name, size=34)
    assert backbone.check_size(34) == backbone.num_features
    with pytest.raises(ModelError, match=r"takes no clips of 64 x 64 pixels.*input.size is 34"):
        backbone.check_size(64)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"widht": 3}, '"widht" is no option of backbone "clip:c3d"'),
        ({"init": "normal-0.2"}, 'init "normal-0.2" is unknown; did you mean .normal-0.1.'),
        ({"size": 48}, "size is 48 and input.size is 64; leave it out"),
        ({"frames": 48}, "frames is 48 and input.frames is 16; leave it out"),
        ({"dense": "many"}, "cannot be built with model.options"),
        ({"width": -1}, "cannot be built with model.options"),
    ],
)
def test_options_that_are_not_its_own_are_told(options, told):
    with pytest.raises(ModelError, match=told):
        create_backbone("clip:c3d", options=options, size=64, frames=16)


def test_three_channels_are_needed():
    with pytest.raises(ModelError, match=r"three numbers such as \[8, 16, 32\], not \[8, 16\]"):
        create_backbone("clip:cnn-lstm", options={"channels": (8, 16)})


def test_there_are_no_weights_to_download():
    with pytest.raises(ModelError, match=r"set model.pretrained=false"):
        create_backbone("clip:c3d", pretrained=True)


def test_a_name_nearly_right_is_told():
    with pytest.raises(ModelError, match=r"did you mean .clip:c3d"):
        create_backbone("clip:c3")


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_refused_in_one_line(name):
    with pytest.raises(ModelError, match=r"takes clips .*not shape \(2, 3, 34, 34\)"):
        small(name)(torch.randn(2, 3, 34, 34))
