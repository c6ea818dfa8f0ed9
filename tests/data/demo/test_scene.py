from collections import Counter

import numpy as np
import pytest

from finelens.data.demo.actors import ACTORS
from finelens.data.demo.props import PROPS
from finelens.data.demo.scene import CLASSES, SIZES_PX, draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(0, index) for index in range(250)]


def test_a_scene_is_the_same_each_time_and_another_for_another_seed_or_index():
    scene, again = draw_scene(3, 5), draw_scene(3, 5)
    assert scene.labels == again.labels
    np.testing.assert_array_equal(scene.image, again.image)
    for other in (draw_scene(3, 6), draw_scene(4, 5)):
        assert other.image.shape != scene.image.shape or (other.image != scene.image).any()


def test_scenes_hold_none_one_or_several_of_all_classes(scenes):
    counts = Counter(label for scene in scenes for label in scene.labels)
    assert set(counts) == set(CLASSES)
    assert min(counts.values()) > 10
    assert {len(scene.labels) for scene in scenes} == {0, 1, 2, 3}


def test_labels_are_sorted_and_each_there_once(scenes):
    assert all(scene.labels == tuple(sorted(set(scene.labels))) for scene in scenes)


def test_scenes_come_in_every_size_as_eight_bit_colour(scenes):
    assert {scene.image.shape[1::-1] for scene in scenes} == set(SIZES_PX)
    assert all(scene.image.dtype == np.uint8 and scene.image.shape[2] == 3 for scene in scenes)


def test_the_mean_colour_tells_no_class(scenes):
    colours = np.array([scene.image.mean(axis=(0, 1)) for scene in scenes])
    colours = (colours - colours.mean(axis=0)) / colours.std(axis=0)
    for name in CLASSES:
        has = np.array([name in scene.labels for scene in scenes])
        gap = colours[has].mean(axis=0) - colours[~has].mean(axis=0)
        assert np.abs(gap).max() < 1.0


def test_every_class_is_an_actor_and_every_prop_belongs_to_a_class():
    assert {name.split("-")[0] for name in CLASSES} == set(ACTORS)
    assert set(PROPS) < set(CLASSES)
    assert list(CLASSES) == sorted(CLASSES)
