import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

import finelens
from finelens.errors import FinelensError, RunError
from finelens.progress import Silent
from finelens.reporting.report import write_report
from finelens.training.best import BestWeights
from finelens.training.interruption import Interrupted
from finelens.training.resume import Checkpoints


def test_last_state_returns(tmp_path):
    checkpoints = Checkpoints(tmp_path, minutes=4)
    checkpoints.save({"step": 1, "weight": torch.arange(3)})
    checkpoints.save({"step": 2, "weight": torch.arange(3)})
    state = checkpoints.load()
    assert state is not None
    assert state["step"] == 2


def test_damaged_last_state_falls_back_to_the_previous(tmp_path):
    checkpoints = Checkpoints(tmp_path, minutes=4)
    checkpoints.save({"step": 1})
    checkpoints.save({"step": 2})
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: len(whole) // 2])
    state = checkpoints.load()
    assert state is not None
    assert state["step"] == 1


def test_a_damaged_last_state_never_takes_the_place_of_the_previous(tmp_path):
    checkpoints = Checkpoints(tmp_path, minutes=4)
    checkpoints.save({"step": 1})
    checkpoints.save({"step": 2})
    (tmp_path / "last.pt").write_bytes(b"damaged")
    checkpoints.load()
    checkpoints.save({"step": 3})
    (tmp_path / "last.pt").unlink()
    state = checkpoints.load()
    assert state is not None
    assert state["step"] == 1


def test_no_state_is_none(tmp_path):
    assert Checkpoints(tmp_path, minutes=4).load() is None


def test_only_damaged_states_are_an_error(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="corrupted"):
        Checkpoints(tmp_path, minutes=4).load()


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"format": 2, "bomb": Bomb()}, tmp_path / "last.pt")
    with pytest.raises(RunError):
        Checkpoints(tmp_path, minutes=4).load()
    assert not (tmp_path / "exploded").exists()


def test_due_after_the_given_time(tmp_path):
    checkpoints = Checkpoints(tmp_path, minutes=4)
    checkpoints.save({})
    assert not checkpoints.is_due
    hasty = Checkpoints(tmp_path, minutes=0.02 / 60)
    hasty.save({})
    time.sleep(0.03)
    assert hasty.is_due


@pytest.fixture
def full_disk():
    """Let no file grow beyond 64 KB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_one_error_and_the_state_before_stays(tmp_path):
    checkpoints = Checkpoints(tmp_path, minutes=4)
    checkpoints.save({"step": 1})
    with pytest.raises(RunError, match="free some space"):
        checkpoints.save({"step": 2, "weight": torch.zeros(100_000)})
    state = checkpoints.load()
    assert state is not None
    assert state["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.usefixtures("full_disk")
def test_best_weights_on_a_full_disk_are_the_same_error(tmp_path):
    best = BestWeights(tmp_path, ("accuracy",))
    with pytest.raises(RunError, match="free some space"):
        best.offer({"accuracy": 1.0}, epoch=1, weights={"w": torch.zeros(100_000)})
    assert not list(tmp_path.iterdir())


def measured(run):
    """Return the log without its timings."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["name"] != "samples_per_second"]


def assert_same_result(run, other):
    weights = "model/weights.safetensors"
    assert (run / weights).read_bytes() == (other / weights).read_bytes()
    assert measured(run) == measured(other)
    decision = "model/decision.json"
    assert (run / decision).read_text() == (other / decision).read_text()


def wait_for_update(run, update, *, is_running):
    """Wait until the last checkpoint is at least at a weight update, or the process ended."""
    while is_running():
        state = Checkpoints(run / "checkpoints", minutes=4).load()
        if state is not None and state["position"]["update"] >= update:
            return
        time.sleep(0.02)


HARD = ("model.head.dropout=0.3", "train.accumulate=2", "train.clip_norm=1.0",
        "train.best_by=[mean_average_precision,loss]", "optimizer.name=adamw",
        "train.checkpoint_minutes=1.0e-4", "phases.0.epochs=2", "phases.1.epochs=2")  # fmt: skip
"""Dropout, averages, accumulation and a checkpoint after every update."""


_TRAIN = """
import multiprocessing
import finelens

# a user's training is no child of a server: its loader's processes begin as they do by default
multiprocessing.set_start_method(None, force=True)
finelens.train("finetune", data, settings=settings, run=run)
"""


@pytest.fixture(scope="module")
def processes():
    """Return where processes begin that share one import of finelens: each takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["finelens.api.training"])
    return context


@pytest.mark.parametrize(("num_workers", "reseed"), [(0, "false"), (2, "false"), (2, "true")])
def test_killed_and_resumed_run_ends_like_one_left_alone(
    tmp_path, table_data, tiny_settings, alone, processes, num_workers, reseed
):
    settings = tiny_settings(*HARD, f"train.reseed_each_epoch={reseed}")
    run = tmp_path / "killed"
    names = {"settings": [*settings, f"train.num_workers={num_workers}"], "run": run}
    process = processes.Process(target=exec, args=(_TRAIN, {"data": table_data, **names}))
    process.start()
    wait_for_update(run, 3, is_running=process.is_alive)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (run / "model").exists(), "it was not killed in time"
    finelens.resume(run)
    # the same with 0 workers, whatever the killed run had
    assert_same_result(run, alone(settings))


_TRAIN_UNTIL = """
import contextlib, os, signal
import finelens


class Killing:
    @contextlib.contextmanager
    def stage(self, title, total):
        num_updates = 0

        def advance(num_items, note):
            nonlocal num_updates
            num_updates += 1
            if title.startswith(epoch) and num_updates == update:
                os.kill(os.getpid(), signal.SIGKILL)

        yield advance

    def say(self, line):
        pass


finelens.train("finetune", data, settings=settings, run=run, progress=Killing())
"""
"""Kills itself right after an update of an epoch, both given."""


@pytest.mark.parametrize(("epoch", "update"), [(2, 1), (2, 2), (4, 2)])
def test_a_run_killed_in_an_epoch_that_crosses_passes_ends_like_one_left_alone(
    tmp_path, table_data, tiny_settings, alone, processes, epoch, update
):
    # a pass is of three batches, and the second epoch holds the last of the second pass, the third
    # pass and the first of the fourth; its first update is of two passes
    settings = tiny_settings(*HARD, "train.batches_per_epoch=5")
    run = tmp_path / "killed"
    names = {"data": table_data, "settings": settings, "run": run, "epoch": f"epoch {epoch}/",
             "update": update}  # fmt: skip
    process = processes.Process(target=exec, args=(_TRAIN_UNTIL, names))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    state = Checkpoints(run / "checkpoints", minutes=4).load()
    assert state is not None
    assert (state["position"]["batch"], state["position"]["update"]) == (
        2 * update, 3 * (epoch - 1) + update
    )  # fmt: skip
    finelens.resume(run)
    assert_same_result(run, alone(settings))


def test_interrupted_run_saves_and_says_how_to_go_on(tmp_path, table_data, tiny_settings):
    settings = tiny_settings("phases.0.epochs=40", "train.checkpoint_minutes=1.0e-4")
    command = [sys.executable, "-c", "from finelens.cli.main import main; main()", "train",
               "finetune", "--data", str(table_data), "--run", str(tmp_path / "run")]  # fmt: skip
    for setting in settings:
        command += ["--set", setting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for_update(tmp_path / "run", 2, is_running=lambda: process.poll() is None)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"finelens train --resume {tmp_path / 'run'}" in output
    assert "Traceback" not in output
    before = Checkpoints(tmp_path / "run" / "checkpoints", minutes=4).load()
    assert before is not None
    assert before["position"]["update"] >= 2


def test_resuming_a_complete_run_leaves_its_model(trained):
    before = (trained / "model" / "weights.safetensors").stat().st_mtime_ns
    assert finelens.resume(trained) == trained
    assert (trained / "model" / "weights.safetensors").stat().st_mtime_ns == before


class StopIn:
    """A progress that interrupts the first stage of a title after an epoch."""

    def __init__(self, title):
        self.title, self.epochs = title, []

    @contextlib.contextmanager
    def stage(self, title, total):
        del total

        def advance(num_items, note):
            del num_items, note
            if title == self.title and self.epochs:
                raise Interrupted("stopped")

        yield advance
        self.epochs += [title] if title.startswith("epoch") else []

    def say(self, line):
        pass


def test_a_run_interrupted_in_validation_logs_its_epoch_once(
    tmp_path, table_data, tiny_settings, alone
):
    settings = tiny_settings(*HARD, "train.reseed_each_epoch=false")
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=settings, run=run, progress=StopIn("scoring val")
        )
    finelens.resume(run)
    assert_same_result(run, alone(settings))


@pytest.mark.parametrize("title", ["scoring val", "batch statistics of the average"])
def test_a_run_interrupted_while_an_average_is_judged_ends_like_one_left_alone(
    tmp_path, table_data, tiny_settings, alone, title
):
    settings = tiny_settings(
        *HARD,
        "train.ema_decay=null",
        "phases.1.average_every=1",
        "phases.1.lr=1.0e-3",
        "phases.1.freeze_statistics=false",
    )
    run = tmp_path / "run"
    interrupting = StopIn(title)
    with pytest.raises(Interrupted):
        finelens.train("finetune", table_data, settings=settings, run=run, progress=interrupting)
    finelens.resume(run)
    assert_same_result(run, alone(settings))


def stopped_run(table_data, tiny_settings, run, *more):
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune",
            table_data,
            settings=tiny_settings(*more),
            run=run,
            progress=StopIn("scoring val"),
        )
    return run


def test_resuming_says_at_once_where_it_goes_on(tmp_path, table_data, tiny_settings, told):
    run = stopped_run(table_data, tiny_settings, tmp_path / "run")
    finelens.resume(run, progress=told)
    assert "going on at epoch 1 of 2, after 24 pictures of it" in told.lines
    assert (run / "checkpoints" / "last.pt").is_file()
    assert not (run / "checkpoints" / "previous.pt").exists()


def test_a_run_older_than_the_reducing_gap_goes_on_with_pictures_of_full_size(
    tmp_path, table_data, tiny_settings
):
    run = stopped_run(table_data, tiny_settings, tmp_path / "run")
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    older = recipe.replace("  reducing_gap: 2.0\n", "")
    assert older != recipe
    (run / "recipe.yaml").write_text(older, encoding="utf-8")
    finelens.resume(run)
    preprocessing = json.loads((run / "model" / "preprocessing.json").read_text(encoding="utf-8"))
    assert preprocessing["reducing_gap"] is None


class ActIn(Silent):
    """A progress that does something as a stage of a title begins."""

    def __init__(self, title, act):
        self.title, self.act = title, act

    @contextlib.contextmanager
    def stage(self, title, total):
        del total
        if title == self.title:
            self.act()
        yield lambda _num_items, _note: None


def interrupt_twice():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)


def test_resuming_what_was_trained_says_that_only_scoring_is_left(
    tmp_path, table_data, tiny_settings, told
):
    def stop():
        raise Interrupted("stopped")

    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        finelens.train(
            "finetune", table_data, settings=tiny_settings(), run=run,
            progress=ActIn("scoring test", stop),
        )  # fmt: skip
    assert (run / "checkpoints" / "previous.pt").is_file()
    finelens.resume(run, progress=told)
    assert "training is complete; going on with the last scoring" in told.lines


def test_ctrl_c_twice_stops_at_once_and_says_how_to_go_on(
    tmp_path, table_data, tiny_settings, alone
):
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"at once; go on .* --resume {run}`"):
        finelens.train(
            "finetune", table_data, settings=tiny_settings(), run=run,
            progress=ActIn("scoring val", interrupt_twice),
        )  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same_result(finelens.resume(run), alone(tiny_settings()))


def test_ctrl_c_while_the_report_is_written_comes_too_late(
    tmp_path, table_data, tiny_settings, monkeypatch
):
    def interrupted(run):
        os.kill(os.getpid(), signal.SIGINT)
        return write_report(run)

    monkeypatch.setattr("finelens.api.training.write_report", interrupted)
    run = finelens.train("finetune", table_data, settings=tiny_settings(), run=tmp_path / "run")
    assert (run / "report.html").is_file()


def test_ctrl_c_twice_at_the_end_says_how_to_go_on(
    tmp_path, table_data, tiny_settings, monkeypatch
):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("finelens.api.training.write_report", lambda _run: interrupt_twice())
        with pytest.raises(Interrupted, match=f"--resume {run}`"):
            finelens.train("finetune", table_data, settings=tiny_settings(), run=run)
    assert (finelens.resume(run) / "report.html").is_file()


def test_a_complete_run_is_said_to_be_and_gets_its_report_only_where_it_is_missing(
    tmp_path, trained, told
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    report = (run / "report.html").read_bytes()
    (run / "report.html").write_text("mine")
    assert finelens.resume(run, progress=told) == run
    assert told.lines == [f"run {run} is complete already"]
    assert (run / "report.html").read_text() == "mine"
    (run / "report.html").unlink()
    finelens.resume(run)
    written = (run / "report.html").read_bytes()
    assert len(written) == pytest.approx(len(report), rel=0.01)


def test_resuming_needs_neither_the_weights_file_nor_the_folder_it_began_in(
    tmp_path, table_data, tiny_settings, trained, monkeypatch
):
    shutil.copy(trained / "model" / "weights.safetensors", tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    run = stopped_run(table_data, tiny_settings, tmp_path / "run", "model.weights=mine.safetensors")
    assert str(tmp_path / "mine.safetensors") in (run / "recipe.yaml").read_text()
    (tmp_path / "mine.safetensors").unlink()
    assert finelens.resume(run) == run


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.yaml", "seed: ["),
        ("environment.json", "{}"),
        ("environment.json", "{"),
        ("manifest.parquet", "no table"),
    ],
)
def test_a_damaged_run_file_is_named(tmp_path, table_data, tiny_settings, name, content):
    run = stopped_run(table_data, tiny_settings, tmp_path / "run")
    (run / name).write_text(content)
    with pytest.raises(FinelensError, match=name):
        finelens.resume(run)
