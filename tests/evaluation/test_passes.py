import numpy as np
import pytest
import torch

from finelens.data.preprocessing import Preprocessing
from finelens.evaluation.passes import Passes
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.heads import create_head
from finelens.models.memory_format import to_channels_last
from finelens.models.pooling import create_pooling

CPU = torch.device("cpu")
# of these networks torch's own batches, or its own threads, change last bits
BACKBONES = ("test_resnet", "mobilenetv2_100", "resnet18", "torchvision:squeezenet1_0", "test_vit")


def make_model(name: str, *, frames: int | None = None, pooling: str = "mean"):
    torch.manual_seed(0)
    size = 160 if name == "test_vit" else 64
    preprocessing = Preprocessing(size, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), frames=frames)
    backbone = create_backbone(name)
    joined = create_pooling(pooling, backbone.num_features)
    head = create_head("linear", joined.num_features, 7)
    return to_channels_last(Classifier(backbone, head, pooling=joined)).eval(), preprocessing


def make_views(preprocessing: Preprocessing, num_views: int) -> torch.Tensor:
    frames = () if preprocessing.frames is None else (preprocessing.frames,)
    shape = (num_views, *frames, 3, preprocessing.size, preprocessing.size)
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


@pytest.fixture
def with_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def make_passes(model, preprocessing, *, precision="fp32", device=CPU, pass_size=16):
    return Passes(model, preprocessing, device=device, precision=precision, pass_size=pass_size)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_picture_has_the_same_logits_whatever_comes_with_it_on_any_cores(
    name, precision, with_threads
):
    model, preprocessing = make_model(name)
    num_views = 5 if name == "test_vit" else 27
    images_BCHW = make_views(preprocessing, num_views)
    logits = make_passes(model, preprocessing, precision=precision)
    with_threads(1)
    alone_BK = np.concatenate([logits(images_BCHW[n : n + 1]) for n in range(num_views)])
    assert alone_BK.shape == (num_views, 7)
    assert alone_BK.dtype == np.float32
    for num_threads in (1, 2, 3):
        with_threads(num_threads)
        assert np.array_equal(logits(images_BCHW), alone_BK)
        assert np.array_equal(logits(images_BCHW.flip(0)), alone_BK[::-1])
        assert np.array_equal(logits(images_BCHW[1:2]), alone_BK[1:2])
        assert torch.get_num_threads() == num_threads


def test_the_logits_are_the_models_own(with_threads):
    model, preprocessing = make_model("test_resnet")
    images_BCHW = make_views(preprocessing, 5)
    with torch.inference_mode():
        expected_BK = model(preprocessing.normalise(images_BCHW)).numpy()
    with_threads(2)
    found_BK = make_passes(model, preprocessing)(images_BCHW)
    np.testing.assert_allclose(found_BK, expected_BK, rtol=1e-4, atol=1e-5)


def test_bf16_comes_near_fp32_and_its_logits_are_not_rounded_to_it():
    model, preprocessing = make_model("test_resnet")
    images_BCHW = make_views(preprocessing, 3)
    full_BK = make_passes(model, preprocessing)(images_BCHW)
    half_BK = make_passes(model, preprocessing, precision="bf16")(images_BCHW)
    assert half_BK.dtype == np.float32
    assert np.abs(full_BK - half_BK).max() > 0
    np.testing.assert_allclose(half_BK, full_BK, atol=0.05 * np.abs(full_BK).max())
    rounded_BK = torch.from_numpy(half_BK).bfloat16().float().numpy()
    assert not np.array_equal(half_BK, rounded_BK)


def test_pictures_of_another_size_are_looked_at_by_themselves(with_threads):
    model, preprocessing = make_model("resnet18")
    with_threads(2)
    passes = make_passes(model, preprocessing)
    for size in (160, 64, 160):
        images_BCHW = make_views(preprocessing.resized(size), 19)
        alone_BK = np.concatenate([passes(image) for image in images_BCHW.split(1)])
        assert np.array_equal(passes(images_BCHW), alone_BK)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "frames", "pooling"),
    [
        ("test_resnet", None, "mean"),
        ("mobilenetv2_100", None, "mean"),
        ("test_resnet", 3, "mean"),
        ("test_resnet", 3, "lstm"),
        ("test_resnet", 3, "attention"),
    ],
)
def test_what_the_backbone_made_of_views_gives_their_logits(
    name, frames, pooling, precision, with_threads
):
    model, preprocessing = make_model(name, frames=frames, pooling=pooling)
    images_BXCHW = make_views(preprocessing, 19 if frames is None else 4)
    passes = make_passes(model, preprocessing, precision=precision)
    for num_threads in (1, 2):
        with_threads(num_threads)
        made_BX = passes.backbone_features(images_BXCHW)
        assert np.array_equal(passes.logits_of(made_BX), passes(images_BXCHW))
        assert torch.get_num_threads() == num_threads


def test_clips_are_passed_one_by_one_too(with_threads):
    model, preprocessing = make_model("test_resnet", frames=3)
    images_BTCHW = make_views(preprocessing, 4)
    with_threads(2)
    logits = make_passes(model, preprocessing)
    assert logits.num_together == 2
    together_BK = logits(images_BTCHW)
    with_threads(1)
    alone_K = logits(images_BTCHW[2:3])[0]
    assert np.array_equal(together_BK[2], alone_K)
    with torch.inference_mode():
        expected_BK = model(preprocessing.normalise(images_BTCHW)).numpy()
    np.testing.assert_allclose(together_BK, expected_BK, rtol=1e-4, atol=1e-5)


class ShapeTold(torch.nn.Module):
    """The mean of each channel; tells the shapes it was passed, and how many rows its head.

    Of several pictures it tells a little more than of one, if it ``is_careless``.
    """

    def __init__(self, *, is_careless=False):
        super().__init__()
        self.is_careless = is_careless
        self.shapes: list[tuple[int, ...]] = []

    def features(self, x_bchw):
        self.shapes.append(tuple(x_bchw.shape))
        mean_bc = x_bchw.mean(dim=(2, 3))
        return mean_bc * (1 + 1e-6) if self.is_careless and len(x_bchw) > 1 else mean_bc

    def head(self, features_bc):
        assert len(features_bc) == 1
        return features_bc


PLAIN = Preprocessing(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
ONE, EIGHT = (1, 3, 8, 8), (8, 3, 8, 8)


def expected_means(images_bchw):
    return (images_bchw.float() / 255).mean(dim=(2, 3)).numpy()


def test_pictures_share_passes_once_eight_of_them_gave_the_same_alone(with_threads):
    with_threads(1)
    model = ShapeTold()
    logits = make_passes(model, PLAIN)
    images_BCHW = make_views(PLAIN, 19)
    logits(images_BCHW[:15])
    assert model.shapes == [ONE] * 15
    model.shapes.clear()
    found_BK = logits(images_BCHW)
    assert model.shapes == [ONE] * 8 + [EIGHT] + [EIGHT] * 2 + [ONE] * 3
    np.testing.assert_allclose(found_BK, expected_means(images_BCHW), rtol=1e-5)
    model.shapes.clear()
    logits(images_BCHW[:8])
    assert model.shapes == [EIGHT]


def test_pictures_that_differ_in_a_bit_together_are_passed_alone(with_threads):
    with_threads(1)
    model = ShapeTold(is_careless=True)
    logits = make_passes(model, PLAIN)
    images_BCHW = make_views(PLAIN, 32)
    logits(images_BCHW)
    model.shapes.clear()
    logits(images_BCHW)
    assert model.shapes == [ONE] * 32


@pytest.mark.parametrize(("num_views", "num_eights"), [(16, 2), (32, 4), (30, 3), (20, 2), (8, 0)])
def test_passes_end_together_on_two_threads(num_views, num_eights, with_threads):
    with_threads(2)
    model = ShapeTold()
    logits = make_passes(model, PLAIN)
    logits(make_views(PLAIN, 16))
    model.shapes.clear()
    images_BCHW = make_views(PLAIN, num_views)
    np.testing.assert_allclose(logits(images_BCHW), expected_means(images_BCHW), rtol=1e-5)
    assert model.shapes.count(EIGHT) == num_eights
    assert model.shapes.count(ONE) == num_views - 8 * num_eights


@pytest.mark.gpu
def test_on_a_gpu_a_picture_has_the_same_logits_whatever_comes_with_it():
    cuda = torch.device("cuda")
    model, preprocessing = make_model("resnet18")
    model.to(cuda)
    images_BCHW = make_views(preprocessing, 40)
    logits = make_passes(model, preprocessing, device=cuda, pass_size=16)
    together_BK = logits(images_BCHW)
    alone_BK = np.concatenate([logits(images_BCHW[n : n + 1]) for n in range(40)])
    assert np.array_equal(together_BK, alone_BK)


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("is_planar", [False, True])
def test_a_pass_that_is_not_full_is_filled_with_blanks_channels_last(frames, is_planar):
    model, preprocessing = make_model("test_resnet", frames=frames)
    views = make_views(preprocessing, 3)
    views = views if is_planar else views.movedim(-3, -1).contiguous().movedim(-1, -3)
    passes = make_passes(model, preprocessing, pass_size=8)
    filled = passes._filled(views)
    assert torch.equal(filled[:3], views)
    assert not filled[3:].any()
    assert filled.movedim(-3, -1).is_contiguous()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "test_vit"])
def test_replayed_passes_are_the_direct_ones_to_the_last_bit(name, precision):
    model, preprocessing = make_model(name)
    device = torch.device("cuda")
    images_BCHW = make_views(preprocessing, 7)
    if name == "resnet18":
        images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
    passes = make_passes(
        model.to(device), preprocessing, precision=precision, device=device, pass_size=4
    )
    direct_BK, direct_BP = passes(images_BCHW), passes.features(images_BCHW)
    for _ in range(4):
        passes(images_BCHW), passes.features(images_BCHW)
    assert set(passes._recordings) == {"_logits", "_features"}
    assert np.array_equal(passes(images_BCHW), direct_BK)
    assert np.array_equal(passes.features(images_BCHW), direct_BP)
    assert np.array_equal(passes(images_BCHW[5:6]), direct_BK[5:6])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    changed_BK = passes(images_BCHW)
    passes.release()
    assert not np.array_equal(changed_BK, direct_BK)
    assert np.array_equal(changed_BK, passes(images_BCHW))


@pytest.mark.gpu
def test_weights_that_moved_are_not_replayed():
    model, preprocessing = make_model("resnet18")
    device = torch.device("cuda")
    images_BCHW = make_views(preprocessing, 4)
    passes = make_passes(model.to(device), preprocessing, device=device, pass_size=4)
    for _ in range(9):
        passes(images_BCHW)
    assert passes._recordings
    model.half().float()
    with torch.no_grad():
        model.head_output.bias.add_(1)
    changed_BK = passes(images_BCHW)
    passes.release()
    assert np.array_equal(changed_BK, passes(images_BCHW))


class Waiting(torch.nn.Module):
    """Asks the device for a number in the middle of a pass."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def features(self, x):
        return self.inner.features(x) * (1.0 if x.sum().item() else 0.5)

    def head(self, x):
        return self.inner.head(x)


@pytest.mark.gpu
def test_a_network_that_waits_for_the_device_is_computed_as_it_is():
    model, preprocessing = make_model("resnet18")
    device = torch.device("cuda")
    images_BCHW = make_views(preprocessing, 4)
    passes = make_passes(Waiting(model.to(device)), preprocessing, device=device, pass_size=4)
    first_BK = passes(images_BCHW)
    for _ in range(9):
        again_BK = passes(images_BCHW)
    assert not passes._recordings
    assert np.array_equal(first_BK, again_BK)


@pytest.mark.gpu
def test_clips_are_replayed_too():
    model, preprocessing = make_model("test_resnet", frames=3)
    device = torch.device("cuda")
    clips = make_views(preprocessing, 5)
    passes = make_passes(model.to(device), preprocessing, device=device, pass_size=2)
    first_BK = passes(clips)
    for _ in range(3):
        again_BK = passes(clips)
    assert set(passes._recordings) == {"_logits"}
    assert np.array_equal(first_BK, again_BK)


@pytest.mark.gpu
def test_recordings_that_end_harm_no_other_and_keep_no_memory():
    device = torch.device("cuda")
    model, preprocessing = make_model("resnet18")
    images_BCHW = make_views(preprocessing, 8)
    kept = make_passes(model.to(device), preprocessing, device=device, pass_size=1)
    others = make_passes(model, preprocessing, device=device, pass_size=1)
    expected_BK = kept(images_BCHW)
    reserved = []
    # torch has 32 streams of a priority
    for _ in range(40):
        assert np.array_equal(others(images_BCHW), expected_BK)
        assert np.array_equal(others(images_BCHW), expected_BK)
        assert others._recordings
        others.release()
        assert np.array_equal(kept(images_BCHW), expected_BK)
        torch.cuda.empty_cache()
        reserved.append(torch.cuda.memory_reserved(device))
    assert reserved[-1] <= reserved[1] + 2**20
