import pytest

import finelens
from finelens.config.schema import Recipe
from finelens.config.training import OptimizerConfig, PhaseConfig, ScheduleConfig
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ConfigError
from finelens.training.phases import build_phases

PREPROCESSING = Preprocessing(size=224, mean=(0.5,) * 3, std=(0.5,) * 3)


def phases_of(*configs, **optimizer):
    recipe = Recipe(phases=configs, optimizer=OptimizerConfig(**optimizer))
    return build_phases(recipe, PREPROCESSING, lambda side: round(side / 32) * 32)


def test_epochs_are_counted_over_all_phases():
    phases = phases_of(PhaseConfig(epochs=2), PhaseConfig(epochs=3), PhaseConfig(epochs=1))
    assert [phase.first_epoch for phase in phases] == [0, 2, 5]
    assert [phase.name for phase in phases] == ["phase 1", "phase 2", "phase 3"]


def test_a_phase_takes_the_optimizers_rates_unless_it_says_its_own():
    own = PhaseConfig(epochs=1, lr=0.5, backbone_lr=0.05)
    phases = phases_of(PhaseConfig(epochs=1), own, lr=0.02, backbone_lr=0.002)
    assert (phases[0].lr, phases[0].backbone_lr) == (0.02, 0.002)
    assert (phases[1].lr, phases[1].backbone_lr) == (0.5, 0.05)


def test_a_phase_that_only_says_lr_means_the_whole_network():
    phase = phases_of(PhaseConfig(epochs=1, lr=0.5), lr=0.02, backbone_lr=0.002)[0]
    assert (phase.lr, phase.backbone_lr) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("given", "side"), [({}, 224), ({"size": 100}, 100), ({"scale": 0.75}, 160)]
)
def test_size_and_scale_set_what_the_network_trains_on(given, side):
    phase = phases_of(PhaseConfig(epochs=1, **given))[0]
    assert phase.augmentation.shape == (3, side, side)


def test_the_schedule_runs_over_the_phase():
    schedule = ScheduleConfig(name="cosine")
    phase = phases_of(PhaseConfig(epochs=4, schedule=schedule))[0]
    assert phase.rate_factor(0.0) == pytest.approx(1.0)
    assert phase.rate_factor(2.0) == pytest.approx(0.5)
    assert phase.rate_factor(4.0) == pytest.approx(0.0)


def test_an_unknown_policy_is_found_before_training():
    with pytest.raises(ConfigError, match="standard"):
        phases_of(PhaseConfig(epochs=1, augment="standart"))


def test_an_unknown_policy_is_told_before_the_data_are_read(tmp_path):
    settings = ["phases.1.augment=standart"]
    with pytest.raises(ConfigError, match='"standart" is unknown; did you mean "standard"'):
        finelens.train("finetune", tmp_path / "nothing", settings=settings, run=tmp_path / "run")


def test_views_are_as_many_as_are_asked_for_and_one_where_there_is_no_chance():
    random, certain = {"augment": "light"}, {"augment": [{"resize": {"scale": 1.1}}]}
    asked = (random, random | {"views": 3}, certain, certain | {"views": 3}, {"augment": "none"})
    phases = phases_of(*(PhaseConfig(epochs=1, **each) for each in asked))
    assert [phase.num_views for phase in phases] == [None, 3, 1, 1, 1]
