import pytest

from finelens.config.load import load_recipe
from finelens.config.packaged import recipe_descriptions, recipe_names, recipe_text
from finelens.errors import ConfigError


def test_the_default_recipes_are_packaged():
    assert "finetune" in recipe_names()
    assert recipe_names() == sorted(recipe_names())


def test_every_packaged_recipe_says_what_it_is_for():
    assert recipe_descriptions() == {name: load_recipe(name).description for name in recipe_names()}
    assert all(recipe_descriptions().values())


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(ConfigError, match=r'recipe "finetun" is neither.*finetune'):
        recipe_text("finetun")
