import numpy as np
import pytest
from PIL import Image
from torch import nn

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.data.loader import Loader
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ModelError
from finelens.evaluation.inference import score
from finelens.task import Task, TaskKind

TASK = Task(TaskKind.MULTI_LABEL, ("red", "green", "blue"))
PREPROCESSING = Preprocessing(16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (120, 120, 120)]


class MeanColour(nn.Module):
    """The mean of each channel, through a batch norm whose mode and a dropout would show."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=False)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x_bchw):
        return self.dropout(self.norm(x_bchw)).mean(dim=(2, 3))


@pytest.fixture
def paths(tmp_path):
    for n, colour in enumerate(COLOURS):
        Image.new("RGB", (20, 18), colour).save(tmp_path / f"{n}.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    return [str(tmp_path / f"{n}.png") for n in range(len(COLOURS))]


def scored(classifier, paths, **settings):
    targets = np.eye(5, 3, dtype=np.float32)
    view = Augmentation("none", PREPROCESSING)
    dataset = PictureDataset(paths, targets, view, on_error="row")
    loader = Loader(dataset, batch_size=2, shuffle=settings.pop("shuffle", False), seed=0)
    ids = [f"{n}.png" for n in range(len(paths))]

    def logits(images_bchw):
        return classifier(PREPROCESSING.normalise(images_bchw)).numpy()

    return score(classifier, loader, logits, ids=ids, paths=paths, task=TASK, **settings)


def test_logits_are_the_models_on_normalised_pictures_one_row_a_picture(paths):
    scores = scored(MeanColour(), paths)
    expected = (np.array(COLOURS) / 255 - 0.5) / 0.25
    readable = [0, 1, 3, 4]
    np.testing.assert_allclose(scores.logits_NK[readable], expected[readable], atol=1e-4)
    assert np.isnan(scores.logits_NK[2]).all()
    assert "2.png" in scores.errors[2]
    assert [scores.errors[n] for n in readable] == [None] * 4
    assert scores.ids == tuple(f"{n}.png" for n in range(5))
    assert scores.paths == tuple(paths)
    np.testing.assert_array_equal(scores.targets_NK, np.eye(5, 3))
    assert scores.logits_NK.dtype == np.float32


def test_the_order_of_batches_changes_nothing(paths):
    plain = scored(MeanColour(), paths)
    other = scored(MeanColour(), paths, shuffle=True)
    np.testing.assert_allclose(plain.logits_NK, other.logits_NK, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(plain.targets_NK, other.targets_NK)
    assert plain.errors == other.errors


class MeanOfPlaces(nn.Module):
    def forward(self, x_bchw):
        return x_bchw.mean(dim=(2, 3))


def test_each_modules_mode_is_put_back(paths):
    classifier = MeanColour().train()
    classifier.norm.eval()
    scored(classifier, paths)
    assert classifier.training
    assert classifier.dropout.training
    assert not classifier.norm.training


def test_progress_is_told_the_pictures_of_each_batch(paths):
    told = []
    scored(MeanColour(), paths, progress=told.append)
    assert told == [2, 2, 1]


def test_scores_that_are_not_finite_are_an_error_with_its_mend(paths):
    classifier = nn.Sequential(MeanOfPlaces(), nn.Linear(3, 3))
    nn.init.constant_(classifier[1].bias, float("nan"))
    with pytest.raises(ModelError, match=r"not finite for 4 of 5 pictures, such as 0\.png"):
        scored(classifier, paths)
