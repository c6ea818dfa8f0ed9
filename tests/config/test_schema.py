import pytest
import yaml
from pydantic import ValidationError

from finelens.config.schema import Recipe
from finelens.config.section import Section
from finelens.config.training import PhaseConfig
from finelens.evaluation.thresholds import precision_of_goal
from finelens.task import TaskKind

AT_A_GLANCE = """
seed: 0
data:      {source: auto, path: null, task: auto, bad_files: error, val_fraction: 0.15, test_fraction: 0.15}
input:     {size: 224, mean: null, std: null, frames: null}
model:     {backbone: resnet18, pretrained: true, weights: null, options: {}, head: {kind: linear}, pooling: mean}
loss:      {name: auto}
optimizer: {name: sgd, lr: 0.02, momentum: 0.9, weight_decay: 1.0e-4}
train:     {batch_size: 32, accumulate: 1, precision: auto, num_workers: auto, reseed_each_epoch: false}
phases:
  - {epochs: 2, freeze: backbone, augment: none}
  - {epochs: 8, freeze: none, augment: standard, schedule: {name: cosine, warmup_epochs: 1}}
stop:      {metric: null, patience: null, target: null}
decide:    {goal: f1, scope: per_class, threshold: null}
"""  # noqa: E501
"""The keys that users and scripts rely on."""


def _problem(**content) -> str:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(content)
    assert caught.value.error_count() == 1, caught.value
    return caught.value.errors()[0]["msg"]


def test_the_keys_users_rely_on_mean_what_they_say():
    written = yaml.safe_load(AT_A_GLANCE)
    recipe = Recipe.model_validate(written)
    dumped = recipe.model_dump(mode="json")

    def holds(part, whole):
        if isinstance(part, dict):
            return all(key in whole and holds(part[key], whole[key]) for key in part)
        if isinstance(part, list):
            return len(part) == len(whole) and all(map(holds, part, whole))
        return part == whole

    assert holds(written, dumped)
    assert recipe.num_epochs == 10


def test_the_defaults_of_the_keys_at_a_glance_are_those_said_there():
    written = yaml.safe_load(AT_A_GLANCE)
    recipe = Recipe.model_validate(
        {"phases": written["phases"], "input": {"size": 224}, "seed": written["seed"]}
    )
    assert recipe == Recipe.model_validate(written)


def test_a_recipe_cannot_be_changed():
    recipe = Recipe()
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        recipe.optimizer.lr = 1.0


@pytest.mark.parametrize("section", Section.__subclasses__(), ids=lambda section: section.__name__)
def test_every_section_is_closed_to_unknown_keys(section):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        section.model_validate({"epochs": 1, "no_such_key": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("section", "key"), [("optimizer", "lr"), ("optimizer", "weight_decay"), ("stop", "target")]
)
def test_numbers_are_finite(section, key, value):
    assert "finite" in _problem(**{section: {key: value}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {"val_fraction": 0.6, "test_fraction": 0.4}}, "leave some pictures"),
        ({"model": {"probe": True, "head": {"kind": "mlp"}}}, "set model.probe=false"),
        ({"phases": []}, "at least one"),
        (
            {"phases": [{"epochs": 1, "freeze": "body"}]},
            '"body" must be none, backbone, convolutions or',
        ),
        ({"phases": [{"epochs": 1, "freeze": "until:"}]}, "until:LAYER"),
        ({"phases": [{"epochs": 2, "schedule": {"warmup_epochs": 2}}]}, "shorter than the phase"),
        ({"phases": [{"epochs": 0}]}, "greater than or equal to 1"),
        ({"phases": [{"epochs": 1, "schedule": {"name": "multistep"}}]}, "needs milestones"),
        ({"phases": [{"epochs": 1, "schedule": {"milestones": [3, 2]}}]}, "must rise"),
        ({"phases": [{"epochs": 1, "schedule": {"milestones": [2, 2]}}]}, "must rise"),
        ({"phases": [{"epochs": 1, "schedule": {"milestones": [0]}}]}, "equal to 1"),
        ({"decide": {"goal": "precision"}}, r"must be f1 or precision>=X"),
        ({"decide": {"threshold": 1.5}}, "less than or equal to 1"),
        ({"input": {"mean": [123.7, 116.3, 103.5]}}, ""),
        ({"input": {"std": [0.2, 0.0, 0.2]}}, "greater than 0"),
        ({"input": {"reducing_gap": 0.5}}, "greater than or equal to 1"),
        ({"train": {"checkpoint_minutes": 6}}, "less than or equal to 5"),
        ({"optimizer": {"lr": 0}}, "greater than 0"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_contradictions_and_impossible_values_fail_while_loading(content, message):
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(content)
    assert message in str(caught.value)


@pytest.mark.parametrize("freeze", ["none", "backbone", "until:layer3", "until:features.4"])
def test_freeze_takes_a_layer(freeze):
    assert PhaseConfig(epochs=1, freeze=freeze).freeze == freeze


def test_a_warm_up_of_part_of_an_epoch_fits_a_phase_of_one():
    phase = PhaseConfig.model_validate({"epochs": 1, "schedule": {"warmup_epochs": 0.5}})
    assert phase.schedule.warmup_epochs == 0.5


@pytest.mark.parametrize(
    ("goal", "expected"),
    [("f1", None), ("precision>=0.9", 0.9), ("precision >= .95", 0.95), ("precision>=1", 1.0)],
)
def test_a_goal_says_its_least_precision_as_evaluation_reads_it(goal, expected):
    decide = Recipe.model_validate({"decide": {"goal": goal}}).decide
    assert decide.min_precision == expected
    assert precision_of_goal(goal) == expected


@pytest.mark.parametrize("goal", ["F2", "precision>=0", "precision>=1.1", "precision>0.9", ""])
def test_an_unknown_goal_is_refused(goal):
    assert "must be f1 or precision>=X" in _problem(decide={"goal": goal})


@pytest.mark.parametrize(
    ("loss", "kind", "fits"),
    [
        ("auto", TaskKind.MULTI_LABEL, True),
        ("auto", TaskKind.MULTI_CLASS, True),
        ("focal", TaskKind.MULTI_LABEL, True),
        ("focal", TaskKind.MULTI_CLASS, True),
        ("bce", TaskKind.MULTI_LABEL, True),
        ("bce", TaskKind.MULTI_CLASS, False),
        ("asymmetric", TaskKind.MULTI_CLASS, False),
        ("cross_entropy", TaskKind.MULTI_CLASS, True),
        ("cross_entropy", TaskKind.MULTI_LABEL, False),
    ],
)
def test_a_loss_must_fit_the_task(loss, kind, fits):
    recipe = Recipe.model_validate({"loss": {"name": loss}})
    if fits:
        recipe.check_task(kind)
    else:
        with pytest.raises(ValueError, match=rf'loss.name: "{loss}" is for .*, and this is {kind}'):
            recipe.check_task(kind)
