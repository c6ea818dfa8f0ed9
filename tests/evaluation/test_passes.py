import numpy as np
import pytest
import torch

from finelens.data.preprocessing import Preprocessing
from finelens.evaluation.passes import logits_of
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


@pytest.mark.parametrize("name", BACKBONES)
def test_a_picture_has_the_same_logits_whatever_comes_with_it_on_any_cores(name, with_threads):
    model, preprocessing = make_model(name)
    images_BCHW = make_views(preprocessing, 5)

    def logits(images):
        return logits_of(model, images, preprocessing, device=CPU, pass_size=1)

    with_threads(1)
    alone_BK = np.concatenate([logits(images_BCHW[n : n + 1]) for n in range(5)])
    assert alone_BK.shape == (5, 7)
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
    found_BK = logits_of(model, images_BCHW, preprocessing, device=CPU, pass_size=1)
    np.testing.assert_allclose(found_BK, expected_BK, rtol=1e-4, atol=1e-5)


def test_clips_are_passed_one_by_one_too(with_threads):
    model, preprocessing = make_model("test_resnet", frames=3)
    images_BTCHW = make_views(preprocessing, 4)
    with_threads(2)
    together_BK = logits_of(model, images_BTCHW, preprocessing, device=CPU, pass_size=1)
    with_threads(1)
    alone_K = logits_of(model, images_BTCHW[2:3], preprocessing, device=CPU, pass_size=1)[0]
    assert np.array_equal(together_BK[2], alone_K)
    with torch.inference_mode():
        expected_BK = model(preprocessing.normalise(images_BTCHW)).numpy()
    np.testing.assert_allclose(together_BK, expected_BK, rtol=1e-4, atol=1e-5)


class ShapeTold(torch.nn.Module):
    """The mean of each channel; tells the shapes it was passed."""

    def __init__(self):
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x_bchw):
        self.shapes.append(tuple(x_bchw.shape))
        return x_bchw.mean(dim=(2, 3))


def test_blanks_fill_the_last_pass_and_leave_no_row():
    model = ShapeTold()
    preprocessing = Preprocessing(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    images_BCHW = make_views(preprocessing, 5)
    found_BK = logits_of(model, images_BCHW, preprocessing, device=CPU, pass_size=4)
    assert model.shapes == [(4, 3, 8, 8)] * 2
    expected_BK = (images_BCHW.float() / 255).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(found_BK, expected_BK, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_picture_has_the_same_logits_whatever_comes_with_it():
    cuda = torch.device("cuda")
    model, preprocessing = make_model("resnet18")
    model.to(cuda)
    images_BCHW = make_views(preprocessing, 40)

    def logits(images):
        return logits_of(model, images, preprocessing, device=cuda, pass_size=16)

    together_BK = logits(images_BCHW)
    alone_BK = np.concatenate([logits(images_BCHW[n : n + 1]) for n in range(40)])
    assert np.array_equal(together_BK, alone_BK)
