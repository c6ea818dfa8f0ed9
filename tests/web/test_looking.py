import asyncio

import numpy as np
import pytest

import finelens
from finelens.data.example import read_example
from finelens.web.decoder import RefusedError
from finelens.web.items import Place
from finelens.web.limits import Limits
from finelens.web.looking import Frames, unpack_frames
from finelens.web.served_run import OwnExample
from finelens.web.site import Site


@pytest.fixture(scope="module")
def site(clip_run):
    site = Site([clip_run], limits=Limits())
    yield site
    site.close()


def test_an_element_of_an_array_has_the_probabilities_of_predict(site, clip_run, array_data):
    path = f"{array_data}#7"
    example = OwnExample(Place(path, (None, None), is_clip=True))
    (row,) = asyncio.run(site.run(None).predict([example]))
    said = finelens.predict(clip_run, path).to_dicts()[0]
    assert row.probabilities == {
        name: said[f"probability.{name}"] for name in site.run(None).predictor.saved.task.classes
    }


def test_a_part_of_a_video_is_predicted_from_its_frames(site, ucf11_data):
    path = str(next(ucf11_data.rglob("*.avi")))
    run = site.run(None)
    whole, part = (
        asyncio.run(run.predict([OwnExample(Place(path, span, is_clip=True))]))[0].probabilities
        for span in ((None, None), (0.0, 0.15))
    )
    assert whole != part
    explanation = run.predictor.explain(path, "ball", span=(0.0, 0.15))
    assert part["ball"] == explanation.probability


def test_frames_come_back_as_they_are_read(site, ucf11_data):
    path = str(next(ucf11_data.rglob("*.avi")))
    preprocessing = site.run(None).predictor.saved.preprocessing
    packed = Frames(path, (None, None), preprocessing, is_own=False).run(site.limits)
    expected = read_example(path, frames=preprocessing.frames)
    assert np.array_equal(unpack_frames(packed), expected)


def test_frames_of_an_upload_are_held_to_the_limits_and_those_of_an_item_are_not(site, ucf11_data):
    path = str(next(ucf11_data.rglob("*.avi")))
    preprocessing = site.run(None).predictor.saved.preprocessing
    small = Limits(pixels=100)
    with pytest.raises(RefusedError):
        Frames(path, (None, None), preprocessing, is_own=False).run(small)
    assert Frames(path, (None, None), preprocessing, is_own=True).run(small)
