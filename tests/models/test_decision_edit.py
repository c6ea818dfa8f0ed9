import dataclasses
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.errors import ConfigError, DataError, ModelError
from finelens.models.decision_edit import edit_decision, kept_decisions
from finelens.models.folder import SavedModel, load_model, read_decision, save_model
from finelens.task import Task, TaskKind

TASK = Task(TaskKind.MULTI_LABEL, ("ball", "cube", "Kegel-ß"))
DECISION = Decision(1.5, (0.2, 0.5, 0.8), 0.5, "f1", "per_class", "val (9 pictures)")


@pytest.fixture
def folder(make_classifier, tmp_path):
    preprocessing = Preprocessing(size=64, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    save_model(tmp_path / "model", SavedModel(make_classifier(), TASK, preprocessing, DECISION))
    return tmp_path / "model"


def test_a_loaded_model_decides_by_the_new_thresholds_and_the_old_decision_is_kept(folder):
    before = (folder / "decision.json").read_bytes()
    edited = edit_decision(folder, {"cube": 0.35})
    assert load_model(folder).decision == edited
    assert edited.thresholds == (0.2, 0.35, 0.8)
    assert (folder / "decision-0001.json").read_bytes() == before
    assert edited.edit is not None
    assert (edited.edit.previous, edited.edit.classes) == ("decision-0001.json", ("cube",))
    age = datetime.now(UTC) - datetime.fromisoformat(edited.edit.at)
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_every_edit_keeps_the_decision_before_it(folder):
    for number in range(1, 12):
        edit_decision(folder, {"ball": number / 20})
    kept = kept_decisions(folder)
    assert [path.name for path in kept] == [f"decision-{n:04d}.json" for n in range(1, 12)]
    thresholds = [json.loads(path.read_text())["thresholds"][0] for path in kept]
    assert thresholds == [0.2, *(number / 20 for number in range(1, 11))]


def test_after_9999_edits_there_is_room_for_more(folder):
    (folder / "decision-9999.json").write_text("{}")
    assert edit_decision(folder, {"ball": 0.1}).edit.previous == "decision-10000.json"
    assert edit_decision(folder, {"ball": 0.3}).edit.previous == "decision-10001.json"


def test_a_kill_before_the_new_decision_lies_there_loses_and_doubles_nothing(folder):
    os.link(folder / "decision.json", folder / "decision-0001.json")
    assert load_model(folder).decision == DECISION
    assert edit_decision(folder, {"ball": 0.1}).edit.previous == "decision-0001.json"
    assert len(kept_decisions(folder)) == 1


def test_a_file_system_without_hard_links_gets_a_copy(folder, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    before = (folder / "decision.json").read_bytes()
    monkeypatch.setattr(os, "link", refuse)
    edit_decision(folder, {"ball": 0.1})
    assert (folder / "decision-0001.json").read_bytes() == before


def test_a_full_disk_leaves_the_old_decision(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.glob("decision*")}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"decision\.json cannot be written: No space left"):
        edit_decision(folder, {"ball": 0.1})
    monkeypatch.undo()
    assert load_model(folder).decision == DECISION
    assert (folder / "decision.json").read_bytes() == before["decision.json"]
    assert not list(folder.glob(".*"))


def test_of_several_at_a_time_none_is_lost(folder):
    with ThreadPoolExecutor(8) as threads:
        edits = [{TASK.classes[n % 3]: n / 40} for n in range(24)]
        list(threads.map(lambda edit: edit_decision(folder, edit), edits))
    assert len(kept_decisions(folder)) == 24
    assert read_decision(folder).edit.classes == TASK.classes
    # each begins from what another left: of its three thresholds one differs
    steps = [json.loads(path.read_text())["thresholds"] for path in kept_decisions(folder)]
    steps.append(list(read_decision(folder).thresholds))
    changes = [sum(a != b for a, b in zip(old, new, strict=True)) for old, new in pairwise(steps)]
    assert set(changes) == {1}


def test_what_cannot_be_edited_is_told_and_left_as_it_is(folder, tmp_path):
    with pytest.raises(DataError, match='class "bal" is unknown; did you mean "ball"'):
        edit_decision(folder, {"bal": 0.5})
    with pytest.raises(ConfigError, match="must be a number from 0 to 1"):
        edit_decision(folder, {"ball": 1.5})
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path} is no model folder")):
        edit_decision(tmp_path, {"ball": 0.5})
    assert read_decision(folder) == DECISION
    assert kept_decisions(folder) == []


def test_a_damaged_decision_is_told(folder):
    (folder / "decision.json").write_text('{"temperature": 0}')
    with pytest.raises(ModelError, match=r"decision\.json is damaged or foreign"):
        edit_decision(folder, {"ball": 0.5})


def test_multi_class_says_nothing_below_its_thresholds(folder):
    model = load_model(folder)
    model = dataclasses.replace(
        model, task=Task(TaskKind.MULTI_CLASS, TASK.classes), decision=Decision(temperature=0.7)
    )
    save_model(folder, model)
    edited = edit_decision(folder, {"ball": 0.5, "cube": 0.6})
    assert edited.thresholds == (0.5, 0.6, 0.0)
    assert edited.only_highest
    assert load_model(folder).decision == edited
