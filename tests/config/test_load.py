from pathlib import Path

import pytest

from finelens.config.load import (
    dump_recipe,
    load_recipe,
    parse_recipe,
    read_run_recipe,
    read_yaml,
)
from finelens.config.notation import parse_yaml
from finelens.config.packaged import recipe_names
from finelens.config.schema import Recipe
from finelens.errors import ConfigError

TWO_PHASES = "phases: [{epochs: 2}, {epochs: 8, schedule: {name: cosine}}]\n"


@pytest.fixture
def load(tmp_path: Path):
    """Return a function that loads a recipe of this text, with settings."""

    def load(text: str, *settings: str) -> Recipe:
        (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
        return load_recipe(str(tmp_path / "my.yaml"), settings)

    return load


@pytest.fixture
def problem(load):
    """Return a function from a text and settings to the error's message, without the origin."""

    def problem(text: str, *settings: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, *settings)
        lines = str(caught.value).split("\n")
        assert len(lines) <= 2
        assert all(line.startswith(("recipe ", "--set ")) for line in lines)
        return "\n".join(line.split("my.yaml: ")[-1] for line in lines)

    return problem


@pytest.mark.parametrize("name", recipe_names())
def test_every_packaged_recipe_is_the_same_after_writing_every_default_out(name, tmp_path):
    recipe = load_recipe(name)
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert parse_recipe(read_yaml(path), origin="x") == recipe
    assert load_recipe(str(path)) == recipe
    assert set(read_yaml(path)) == set(Recipe.model_fields)


def test_a_run_older_than_the_reducing_gap_has_none(tmp_path):
    recipe = load_recipe("finetune", ["input.reducing_gap=3"])
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert read_run_recipe(path) == recipe
    path.write_text(path.read_text("utf-8").replace("  reducing_gap: 3.0\n", ""), "utf-8")
    assert "reducing_gap" not in read_yaml(path)["input"]
    older = recipe.input.model_copy(update={"reducing_gap": None})
    assert read_run_recipe(path) == recipe.model_copy(update={"input": older})


def test_values_that_look_like_others_come_back_as_they_were(load):
    classes = ("1e4", "no", "é", "12:30", "0x1", "null", "~", "1.5e3", "2024-01-01", "a: b", "#1")
    recipe = Recipe.model_validate(
        {
            "data": {"classes": classes},
            "model": {"options": {"rate": 1e-5, "act_layer": "1e4", "flags": [True, None]}},
            "loss": {"class_weights": [0.1, 2e-7]},
            "phases": [{"epochs": 2, "augment": [{"flip": {"p": 1e-3}}]}],
        }
    )
    assert load(dump_recipe(recipe)) == recipe


def test_an_empty_file_is_the_default_recipe(load):
    assert load("") == load("# nothing\n") == Recipe()


def test_a_recipe_is_found_by_its_file_whatever_its_ending(tmp_path):
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text("seed: 5")
        assert load_recipe(str(tmp_path / name)).seed == 5


def test_settings_change_keys_at_every_depth(load):
    recipe = load(
        TWO_PHASES,
        "seed=7",
        "optimizer.lr=0.5",
        "model.head.kind=mlp",
        "model.options.drop_path_rate=0.1",
        "phases.1.epochs=4",
        "phases.1.schedule.warmup_epochs=1",
        "input.mean=[0.5, 0.5, 0.5]",
        "model.weights=../some.safetensors",
        "data.classes=[a, b]",
    )
    assert (recipe.seed, recipe.optimizer.lr, recipe.model.head.kind) == (7, 0.5, "mlp")
    assert recipe.model.options == {"drop_path_rate": 0.1}
    assert [phase.epochs for phase in recipe.phases] == [2, 4]
    assert recipe.phases[1].schedule.name == "cosine"
    assert recipe.phases[1].schedule.warmup_epochs == 1
    assert recipe.input.mean == (0.5, 0.5, 0.5)
    assert recipe.model.weights == "../some.safetensors"
    assert recipe.data.classes == ("a", "b")


def test_settings_leave_every_other_key_alone(load):
    before, after = load(TWO_PHASES), load(TWO_PHASES, "optimizer.momentum=0.5")
    assert after.optimizer.momentum == 0.5
    changed = after.model_copy(update={"optimizer": before.optimizer})
    assert changed == before


def test_null_takes_a_setting_back_and_the_last_setting_wins(load):
    recipe = load("input: {size: 64}", "input.size=null", "seed=1", "seed=2")
    assert recipe.input.size is None
    assert recipe.seed == 2


def test_a_setting_reaches_into_a_section_written_as_null(load):
    assert load("optimizer:\n", "optimizer.lr=0.5").optimizer.lr == 0.5


def test_a_whole_list_can_be_set(load):
    phases = load(TWO_PHASES, "phases=[{epochs: 3, freeze: backbone}]").phases
    assert [(phase.epochs, phase.freeze) for phase in phases] == [(3, "backbone")]


@pytest.mark.parametrize("whole", ["phases=[{epochs: 3}]", "phases.1.schedule={name: constant}"])
def test_a_setting_that_undoes_a_part_set_before_is_refused(load, problem, whole):
    first, second = "phases.0.epochs=1", "phases.1.schedule.warmup_epochs=0"
    undone = first if whole.startswith("phases=") else second
    assert problem(TWO_PHASES, first, second, whole) == (
        f'--set "{whole}" undoes --set "{undone}" before it: leave one out'
    )
    assert load(TWO_PHASES, "phases=[{epochs: 3}]", "phases.0.epochs=1").phases[0].epochs == 1


def test_the_readme_shows_the_default_recipe():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("```yaml\n")[2].partition("```")[0]
    content = parse_yaml(shown, origin="README.md")
    content["description"] = load_recipe("finetune").description
    assert parse_recipe(content, origin="README.md") == load_recipe("finetune")


def test_an_entry_of_a_default_list_can_be_set(load):
    assert load("", "phases.0.epochs=3").phases[0].epochs == 3
    assert load("", "optimizer.betas.0=0.8").optimizer.betas == (0.8, 0.999)


def test_a_value_may_hold_an_equals_sign_and_blanks(load):
    assert load("", "decide.goal=precision>=0.9").decide.min_precision == 0.9
    assert load("", "phases.0.freeze=until:layer3").phases[0].freeze == "until:layer3"
    assert load("", " optimizer.lr = 0.5").optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("1E-4", 1e-4), ("5e2", 500.0), ("1.5e1", 15), (".5e1", 5)]
)
def test_numbers_may_be_written_with_an_exponent_and_no_dot(load, text, value):
    for recipe in (
        load("", f"optimizer.lr={text}", f"model.options={{rate: [{text}]}}"),
        load(f"optimizer: {{lr: {text}}}\nmodel: {{options: {{rate: [{text}]}}}}"),
    ):
        assert recipe.optimizer.lr == value
        assert recipe.model.options == {"rate": [value]}


def test_a_quoted_number_stays_text(load):
    assert load("", "data.path='1e4'").data.path == "1e4"
    assert load("", "data.classes=['0', '1']").data.classes == ("0", "1")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("optimzer.lr=1", 'key optimzer is unknown; did you mean "optimizer"?'),
        ("optimizer.momentun=1", 'key optimizer.momentun is unknown; did you mean "momentum"?'),
        ("optimizer.weight-decay=1", "key optimizer.weight-decay is unknown; did you mean"),
        ("model.head.knid=mlp", 'key model.head.knid is unknown; did you mean "kind"?'),
        ("phases.1.epoch=3", 'key phases.1.epoch is unknown; did you mean "epochs"?'),
        ("phases.1.schedule.nane=x", 'key phases.1.schedule.nane is unknown; did you mean "name"?'),
        ("optimizer.zzz=1", 'key optimizer.zzz is unknown; known are "name", "lr"'),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_at_every_depth(problem, setting, said):
    assert problem(TWO_PHASES, setting).startswith(said)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lr=1", 'did you mean "optimizer.lr" or "phases.0.lr"?'),
        ("epochs=1", 'did you mean "phases.0.epochs"?'),
        ("train.momentum=1", 'did you mean "optimizer.momentum"?'),
        ("phases.0.warmup_epochs=1", 'did you mean "phases.0.schedule.warmup_epochs"?'),
    ],
)
def test_a_key_in_the_wrong_place_is_told_its_own(problem, setting, said):
    assert problem(TWO_PHASES, setting).endswith(f"is unknown; {said}")


def test_unknown_keys_are_told_first_and_two_problems_at_most(problem):
    text = "seed: -1\nmodel: {backbon: x}\noptimizr: {}\nfoo: 1\n"
    lines = problem(text).split("\n")
    assert len(lines) == 2
    assert all("is unknown" in line for line in lines)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "model.head.kind=lin",
            "model.head.kind: \"lin\" is unknown; it must be 'linear' or 'mlp'",
        ),
        ("optimizer.lr=fast", "optimizer.lr: fast does not fit: it must be a number"),
        ("optimizer.lr=0,01", "optimizer.lr: 0,01 does not fit: it must be a number"),
        ("optimizer.lr=.inf", "optimizer.lr: inf does not fit: it must be a finite number"),
        ("phases.0.epochs=", "phases.0.epochs: null does not fit: it must be a whole number"),
        ("phases.0.epochs=2.5", "phases.0.epochs: 2.5 does not fit: it must be a whole number"),
        ("phases.0.views=true", "phases.0.views: true does not fit: it must be a whole number"),
        ("train.num_workers=yes", "train.num_workers: true does not fit: it must be 'auto', or a"),
        ("input.size=true", "input.size: true does not fit: it must be a whole number, or 'auto'"),
        ("input.mean=true", "input.mean: true does not fit: it must be a list, such as [a, b]"),
        ("input.mean=[yes, 0, 0]", "input.mean.0: true does not fit: it must be a number"),
        ("optimizer.lr=true", "optimizer.lr: true does not fit: it must be a number"),
        ("model.probe=maybe", "model.probe: maybe does not fit: it must be true or false"),
        ("data.cache=maybe", "data.cache: maybe does not fit: it must be 'auto', or true or false"),
        ("data.path=2007", "data.path: 2007 does not fit: it must be text (put it in quotes)"),
        ("data.classes=[no]", "data.classes.0: false does not fit: it must be text (put it in"),
        ("data.classes=cat", "data.classes: cat does not fit: it must be a list, such as [a, b]"),
        ("phases={epochs: 3}", "phases: {'epochs': 3} does not fit: it must be a list"),
        (
            "optimizer=5",
            "optimizer: 5 does not fit: it must be keys with values, such as optimizer",
        ),
        ("phases=[{lr: 1}]", "phases.0.epochs is missing"),
        ("input.mean=[0.5, 0.5]", "input.mean.2 is missing"),
        ("train.num_workers=-1", "train.num_workers: -1 does not fit: it must be 'auto', or gre"),
        ("input.size=8", "input.size: 8 does not fit: it must be greater than or equal to 16, or"),
        ("loss.class_weights=[1, -1]", "loss.class_weights.1: -1 does not fit: it must be greater"),
        ("phases.0.augment=[flip]", "phases.0.augment.0: flip does not fit: it must be keys with"),
        ("phases.0.augment=3", "phases.0.augment: 3 does not fit: it must be text (put it in quo"),
        ("decide.goal=recall", 'decide: goal "recall" must be f1 or precision>=X'),
        (
            "phases.1.freeze=body",
            'phases.1: freeze: "body" must be none, backbone, convolutions or until:LAYER',
        ),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_would(problem, setting, said):
    assert problem(TWO_PHASES, setting).startswith(said)


def test_a_contradiction_of_the_whole_recipe_is_told(problem):
    assert problem("phases: []") == (
        "phases must hold at least one, such as [{epochs: 10}], or model.probe be true"
    )


def test_a_long_value_is_cut(problem):
    assert len(problem("", f"optimizer.lr={'x' * 1000}")) < 150


@pytest.mark.parametrize("setting", ["lr", "=3", ".lr=3", "optimizer..lr=3", "optimizer.=3", ""])
def test_a_setting_must_read_key_equals_value(problem, setting):
    assert problem("", setting).endswith("must read KEY=VALUE, such as optimizer.lr=0.01")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("phases.2.epochs=1", "the list has no entry 2; its entries are 0, 1"),
        ("phases.-1.epochs=1", "the list has no entry -1; its entries are 0, 1"),
        ("phases.²=1", "the list has no entry ²"),
        ("phases.last=1", "the list has no entry last"),
        ("phases.views=4", 'its entries are 0, 1, so name one, as in "phases.0.views"'),
        ("optimizer.betas.second=1", "the list has no entry second; its entries are 0, 1"),
        ("seed.low=1", "what stands before .low holds no keys"),
        ("optimizer.lr=[1", "not valid YAML: line 1"),
        ("description=2026-13-01", "not valid YAML"),
    ],
)
def test_a_setting_that_leads_nowhere_is_told(problem, setting, said):
    message = problem(f"seed: 1\n{TWO_PHASES}", setting)
    assert message.startswith("--set ")
    assert said in message


@pytest.mark.parametrize("setting", ["phases.last=1", "optimizer.betas.momentum=1"])
def test_no_key_is_named_that_does_not_exist(problem, setting):
    assert problem(TWO_PHASES, setting).endswith("its entries are 0, 1")


def test_an_empty_list_has_no_entry_to_set(problem):
    assert "its entries are none" in problem("phases: []", "phases.0.epochs=1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\noptimizer: {lr: [1", "not valid YAML: line 2: "),
        ("seed: 1\nseed: 2", 'not valid YAML: line 2: key "seed" is there twice'),
        ("model: {head: {kind: mlp, kind: mlp}}", 'key "kind" is there twice'),
        ("- seed", "must be a mapping of keys, not list"),
        ("seed", "must be a mapping of keys, not str"),
        ("1: 2", "key 1 is unknown"),
        ("seed: !!python/object:os.system {}", "not valid YAML"),
        ("description: a\x00b", "not valid YAML"),
    ],
)
def test_a_broken_file_is_told_with_its_line(problem, text, said):
    assert said in problem(text)


def test_anchors_and_merges_are_no_repeated_keys(load):
    text = "phases:\n  - &first {epochs: 2, lr: 0.1}\n  - {<<: *first, epochs: 3}\n"
    assert [(phase.epochs, phase.lr) for phase in load(text).phases] == [(2, 0.1), (3, 0.1)]


def test_a_recipe_that_is_nowhere_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r'"fintune" is neither packaged nor a .yaml file; did'):
        load_recipe("fintune")
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read: No such file or directory$"):
        load_recipe(str(tmp_path / "none.yaml"))
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ConfigError, match="cannot be read: it is no UTF-8 text"):
        load_recipe(str(tmp_path / "picture.yaml"))
