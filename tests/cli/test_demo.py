import polars as pl

from finelens.data.demo.clip_writing import DEMO_CLIPS_MB, write_demo_clips
from finelens.runs.directory import RunDirectory, read_json


def test_demo_trains_on_clips_of_an_earlier_demo_and_speaks_of_clips(finelens_command, tmp_path):
    table = write_demo_clips(tmp_path / "demo-clips", num_clips=56)
    drawn = table.stat().st_mtime_ns
    run = tmp_path / "run"
    code, output, errors = finelens_command("demo", "--clips", "--run", run)
    assert (code, errors) == (0, "")
    assert table.stat().st_mtime_ns == drawn
    lines = output.splitlines()
    assert "data: 42 train, 7 val, 7 test; 7 classes, multi-class" in lines
    assert any(line.startswith("model: clip:cnn-lstm at ") for line in lines)
    assert lines[-4].startswith("test (7 clips of 1 group; intervals by clips): ")
    assert lines[-3].startswith("val (7 clips of 1 group; intervals by clips): ")
    assert lines[-1] == f"next: finelens predict {run} CLIPS --out scores.csv"
    directory = RunDirectory(run)
    assert directory.report.is_file()
    assert read_json(directory.model / "preprocessing.json")["frames"] == 30
    groups = pl.read_parquet(directory.manifest).group_by("group").agg(pl.col("split").n_unique())
    assert groups["split"].to_list() == [1] * 8


def test_demo_says_beforehand_what_clips_take_on_disk(finelens_command):
    code, output, _ = finelens_command("demo", "--help")
    assert code == 0
    assert f"{DEMO_CLIPS_MB} MB" in " ".join(output.split())


def test_demo_leaves_a_folder_of_something_else_alone(finelens_command, tmp_path):
    folder = tmp_path / "demo-clips"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    code, _, errors = finelens_command("demo", "--clips", "--run", tmp_path / "run")
    assert code == 1
    assert errors.startswith(f'error: demo clips: {folder} holds "mine.txt"')
    assert errors.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert not (tmp_path / "run").exists()


def test_demo_refuses_the_place_of_its_data(finelens_command, tmp_path):
    code, _, errors = finelens_command("demo", "--clips", "--run", tmp_path / "demo-clips")
    assert code == 1
    assert errors.endswith("demo-clips: the demo's data lies there; name another folder\n")
    assert not (tmp_path / "demo-clips").exists()


def test_demo_draws_nothing_for_a_run_that_exists(finelens_command, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "mine.txt").write_text("precious")
    code, _, errors = finelens_command("demo", "--clips", "--run", run)
    assert code == 1
    assert "exists already" in errors
    assert not (tmp_path / "demo-clips").exists()
