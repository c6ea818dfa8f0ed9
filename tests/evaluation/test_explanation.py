import numpy as np
import pytest
import torch
from torch import nn

from finelens.data.heat_map import HeatMap
from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.errors import DataError
from finelens.evaluation.explanation import explain
from finelens.models.backbone import Backbone, InputSpec
from finelens.models.classifier import Classifier
from finelens.models.folder import SavedModel
from finelens.models.heads import create_head
from finelens.models.spatial_layer import find_spatial_layer
from finelens.task import Task, TaskKind

CLASSES = ("red", "blue")


class Colours(nn.Module):
    """Two maps, of 8 x 8 pixels a place: how red and how blue it is; their means are features."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(3, 2, 8, stride=8, bias=False)
        weights = torch.zeros(2, 3, 8, 8)
        weights[0, 0], weights[0, 1:] = 1.0, -1.0
        weights[1, 2], weights[1, :2] = 1.0, -1.0
        self.look.weight = nn.Parameter(weights)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.look(x)).mean(dim=(2, 3))


def saved(*, kind=TaskKind.MULTI_LABEL, frames=None, **preprocessing):
    """Return a model that is known to look at red for "red" and at blue for "blue"."""
    spec = InputSpec(64, (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    backbone = Backbone(Colours(), name="own", options={}, input_spec=spec, classifier_names=())
    classifier = Classifier(backbone, create_head("linear", 2, 2)).eval()
    classifier.head_output.weight.data = torch.eye(2)
    classifier.head_output.bias.data = torch.tensor([-0.5, -0.5])
    decision = Decision(thresholds=(0.5, 0.9)) if kind is TaskKind.MULTI_LABEL else Decision()
    seen = Preprocessing(64, (0.0,) * 3, (1.0,) * 3, frames=frames, **preprocessing)
    return SavedModel(classifier, Task(kind, CLASSES), seen, decision)


def explained(model, pictures_THWC, class_name):
    def forward(views):
        with torch.inference_mode():
            return model.classifier(model.preprocessing.normalise(views)).numpy()

    layer = find_spatial_layer(model.classifier.backbone, 64)
    return explain(model, pictures_THWC, class_name, layer=layer, forward=forward)


def picture(*squares):
    """Return a black picture, 100 x 160, with squares (channel, top, left) of 24 pixels."""
    image_HWC = np.zeros((100, 160, 3), dtype=np.uint8)
    for channel, top, left in squares:
        image_HWC[top : top + 24, left : left + 24, channel] = 255
    return image_HWC


def centre(heat: HeatMap, time=0):
    """Return the centre of heat in the whole picture: row and column, pixels."""
    rows, columns = np.mgrid[:64, :64] + 0.5
    weights = heat.heat_TSS[time]
    row, column = ((weights * part).sum() / weights.sum() / 64 for part in (rows, columns))
    return heat.box.top + row * heat.box.height, heat.box.left + column * heat.box.width


@pytest.mark.parametrize("resize", ["shorter", "squash", "pad"])
def test_the_heat_lies_in_the_whole_picture_where_the_class_is(resize):
    image_HWC = picture((0, 20, 60), (2, 60, 90))
    for name, expected in (("red", (32, 72)), ("blue", (72, 102))):
        found = explained(saved(resize=resize, crop_fraction=0.9), image_HWC[None], name)
        assert found.class_name == name
        assert centre(found.heat) == pytest.approx(expected, abs=3)
        assert found.heat.heat_TSS.max() == pytest.approx(1, abs=0.1)
        assert found.heat.heat_TSS.min() == 0
        assert found.heat.pictures_THWC.shape == (1, 100, 160, 3)


def test_the_view_is_what_the_network_saw():
    model, image_HWC = saved(), picture((0, 20, 60))
    heat = explained(model, image_HWC[None], "red").heat
    assert np.array_equal(heat.views_TSSC[0], model.preprocessing(image_HWC).permute(1, 2, 0))


def test_of_a_clip_every_frame_has_its_map():
    frames = [picture((0, 20, 40)), picture((2, 20, 40)), picture((0, 60, 90))]
    found = explained(saved(frames=3, crop_fraction=1.0), np.stack(frames), "red")
    assert found.heat.num_frames == 3
    assert centre(found.heat, 0) == pytest.approx((32, 52), abs=3)
    assert not found.heat.heat_TSS[1].any()
    assert centre(found.heat, 2) == pytest.approx((72, 102), abs=3)


def test_what_is_said_comes_with_it():
    found = explained(saved(), picture((0, 20, 60))[None], "red")
    assert found.is_decided
    assert found.threshold == 0.5
    assert 0.5 < found.probability < 1
    other = explained(saved(), picture((0, 20, 60))[None], "blue")
    assert not other.is_decided
    assert other.threshold == 0.9
    assert other.heat.is_cold
    assert other.probability == pytest.approx(1 / (1 + np.exp(0.5)))


@pytest.mark.parametrize("kind", list(TaskKind))
def test_without_a_class_the_most_probable_is_shown(kind):
    found = explained(saved(kind=kind), picture((2, 20, 60))[None], None)
    assert found.class_name == "blue"
    assert found.threshold == (None if kind is TaskKind.MULTI_CLASS else 0.9)


def test_an_unknown_class_is_told_with_the_nearest():
    with pytest.raises(DataError, match='did you mean "red"'):
        explained(saved(), picture()[None], "rde")


@pytest.mark.filterwarnings("error")
def test_pictures_that_may_not_be_written_to_are_taken_too():
    image_HWC = picture((0, 20, 60))
    image_HWC.flags.writeable = False
    assert explained(saved(), image_HWC[None], "red").is_decided
