import numpy as np
import pytest

from finelens.models.backbones import create_backbone
from finelens.training.setting import fitting_size


@pytest.mark.parametrize(("wanted", "size"), [(150, 160), (100, 96), (10, 32), (500, 160)])
def test_size_is_near_the_wanted_and_not_above_the_backbones_own(wanted, size):
    backbone = create_backbone("test_resnet")  # its own is 160
    assert fitting_size(backbone, wanted) == size


def test_a_backbone_of_one_size_keeps_it():
    backbone = create_backbone("test_vit", options={"dynamic_img_size": False})
    assert fitting_size(backbone, 96) == backbone.input_spec.size


def test_auto_size_follows_the_pictures_and_is_written_down(make_setting):
    setting = make_setting("input.size=auto")  # the pictures are 40 x 36
    assert setting.preprocessing.size == 32
    assert setting.recipe.input.size == 32


def test_scores_are_rows_of_the_split_in_order(make_setting):
    setting = make_setting()
    scores = setting.score("val")
    part = setting.manifest.of_split("val")
    assert list(scores.ids) == part.ids
    np.testing.assert_array_equal(scores.targets_NK, part.targets())


def test_the_same_seed_gives_the_same_first_weights(make_setting, tmp_path):
    first = make_setting(run=tmp_path / "a").classifier.state_dict()
    second = make_setting(run=tmp_path / "b").classifier.state_dict()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_frozen_statistics_of_random_weights_are_told(make_setting, is_frozen):
    frozen = str(is_frozen).lower()
    setting = make_setting(*(f"phases.{n}.freeze_statistics={frozen}" for n in range(2)))
    assert any("the weights are random" in line for line in setting.described()) == is_frozen


def test_one_cache_serves_all_loaders_of_a_run(make_setting):
    setting = make_setting("data.cache=true")
    assert setting.cache is not None
    caches = [setting.loader(split).dataset.cache for split in ("train", "val", "test")]
    assert all(cache is setting.cache for cache in caches)
