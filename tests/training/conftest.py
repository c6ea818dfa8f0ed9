"""A setting that trains in a second."""

import pytest

import finelens
from finelens.config.load import load_recipe
from finelens.data.sources.read import read_source
from finelens.data.splits import complete_splits
from finelens.progress import Silent
from finelens.runs.directory import create_run
from finelens.training.setting import build_setting


class Told(Silent):
    """A progress that keeps what is said."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def make_setting(tmp_path, table_data, tiny_settings):
    """Return a function from settings (and data) to a setting in a new run folder."""

    def make(*settings, data=table_data, run=tmp_path / "run"):
        recipe = load_recipe("finetune", tiny_settings(*settings))
        manifest = complete_splits(
            read_source(data), val_fraction=0.2, test_fraction=0.2, seed=recipe.seed
        )
        directory = create_run(run)
        return build_setting(recipe, manifest, directory, bad_files={}, progress=Silent())

    return make


@pytest.fixture(scope="module")
def alone(tmp_path_factory, table_data):
    """Return a function from settings to the run of them that nobody stopped."""
    made = {}

    def train(settings):
        key = tuple(settings)
        if key not in made:
            run = tmp_path_factory.mktemp("alone") / "run"
            made[key] = finelens.train("finetune", table_data, settings=settings, run=run)
        return made[key]

    return train
