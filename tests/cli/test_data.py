import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import finelens
from finelens.data.augment.augmentation import Augmentation
from finelens.data.contact_sheet import Panel, draw_sheet
from finelens.data.preprocessing import Preprocessing
from finelens.data.sources.ucf11 import read_ucf11


def test_recipes_lists_all_with_descriptions(finelens_command):
    code, output, _ = finelens_command("recipes")
    assert code == 0
    assert "finetune " in output
    assert "demo " in output


def test_recipes_shows_one(finelens_command):
    code, output, _ = finelens_command("recipes", "finetune")
    assert code == 0
    assert "phases:" in output


def test_an_unknown_recipe_gets_the_nearest(finelens_command):
    code, _, errors = finelens_command("recipes", "finetun")
    assert code == 1
    assert 'did you mean "finetune"' in errors


def test_check_counts_classes_and_finds_nothing_wrong(finelens_command, folder_data):
    code, output, _ = finelens_command("check", folder_data)
    assert code == 0
    assert "60 pictures" in output
    lines = output.splitlines()
    assert lines[-2:] == [
        "nothing stands against training", f"next: finelens train --data {folder_data}",
    ]  # fmt: skip
    assert "balance" not in output


def test_check_says_that_what_looks_alike_may_be_parted(finelens_command, folder_data, tmp_path):
    shutil.copytree(folder_data, tmp_path / "data")
    shutil.copy(folder_data / "red" / "00.jpg", tmp_path / "data" / "red" / "again.jpg")
    lines = finelens_command("check", tmp_path / "data")[1].splitlines()
    assert lines[-3] == "nothing stands against training, but see what is there twice"
    assert lines[-2].endswith("one value of a table's column group keeps them together")
    # where all splits are given nothing is cut any more
    for split in ("train", "val", "test"):
        for name in ("blue", "red"):
            kept = tmp_path / "divided" / split / name
            kept.mkdir(parents=True)
            for n in range(3):
                number = 3 * ("train", "val", "test").index(split) + n
                shutil.copy(folder_data / name / f"{number:02d}.jpg", kept)
    first = tmp_path / "divided" / "train" / "red" / "00.jpg"
    shutil.copy(first, first.with_name("again.jpg"))
    lines = finelens_command("check", tmp_path / "divided")[1].splitlines()
    assert lines[-2] == "nothing stands against training, but see what is there twice"


@pytest.mark.parametrize(("group", "is_told"), [("00", False), ("another", True), ("", True)])
def test_check_knows_that_one_group_is_not_parted(
    finelens_command, folder_data, tmp_path, group, is_told
):
    table, again = tmp_path / "table.csv", tmp_path / "again.jpg"
    shutil.copy(folder_data / "red" / "00.jpg", again)
    rows = [f"{path},{path.parent.name},{path.stem}" for path in folder_data.rglob("*.jpg")]
    table.write_text("\n".join(["path,label,group", *rows, f"{again},red,{group}"]))
    output = finelens_command("check", table)[1]
    assert "but see what is there twice" in output
    assert ("may come to lie in train and in test" in output) == is_told


def test_check_says_what_to_do_about_imbalance(finelens_command, folder_data, tmp_path):
    shutil.copytree(folder_data, tmp_path / "data")
    rare = sorted((tmp_path / "data" / "red").iterdir())
    for file in rare[3:]:
        file.unlink()
    code, output, _ = finelens_command("check", tmp_path / "data")
    assert code == 0
    count = len(list((folder_data / "blue").iterdir()))
    assert f"imbalance: the most frequent class has {count / 3:.1f} x the rarest's" in output
    assert "--set loss.class_weights=balanced" in output
    assert "nothing stands against training, but see the imbalance\nnext:" in output
    assert "imbalance" not in finelens_command("check", folder_data)[1]


def test_check_says_how_much_of_a_picture_the_default_recipe_sees(
    finelens_command, folder_data, tmp_path
):
    # 0.95 x 36 of 40 x 36 pixels, rounded
    share = 34**2 / (40 * 36)
    assert share > 0.8
    assert "seen:" not in finelens_command("check", folder_data)[1]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (60, 40), "red" if name == "a" else "blue").save(tmp_path / name / "1.png")
    output = finelens_command("check", tmp_path)[1]
    assert f"seen: the middle {38**2 / 2400:.0%} of a picture (input.resize: shorter" in output


def test_check_names_unreadable_files_duplicates_and_leaks(finelens_command, folder_data, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(folder_data / "red", tmp_path / split / "red")
        shutil.copytree(folder_data / "blue", tmp_path / split / "blue")
    (tmp_path / "train" / "red" / "00.jpg").write_text("no picture")
    code, output, _ = finelens_command("check", tmp_path)
    assert code == 0
    assert "unreadable: 1" in output
    assert "train/red/00.jpg" in output
    assert "leakage" in output
    mend, then = output.splitlines()[-2:]
    assert mend == "mend first: unreadable files, pictures that lie in two splits"
    assert then == f"then: finelens train --data {tmp_path}"


def test_check_writes_every_problem_to_a_table(finelens_command, folder_data, tmp_path):
    shutil.copytree(folder_data, tmp_path / "data")
    red = tmp_path / "data" / "red"
    for n in range(5):
        shutil.copy(red / f"{n:02d}.jpg", red / f"again{n}.jpg")
    (red / "10.jpg").write_text("no picture")
    out = tmp_path / "problems.csv"
    code, output, _ = finelens_command("check", tmp_path / "data", "--problems", out)
    assert code == 0
    assert "  and 2 more; all of them: --problems FILE.csv\n" in output
    assert output.endswith(f"6 problems written to {out}\n")
    table = pl.read_csv(out)
    assert table.columns == ["problem", "path", "detail", "other"]
    assert table["problem"].to_list() == ["unreadable"] + 5 * ["duplicate"]
    assert table["path"].to_list() == [
        str(red / "10.jpg"), *(str(red / f"again{n}.jpg") for n in range(5))
    ]  # fmt: skip
    assert table["other"].to_list()[1:] == [str(red / f"{n:02d}.jpg") for n in range(5)]


def test_check_draws_a_contact_sheet_of_a_policy(
    finelens_command, folder_data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, output, _ = finelens_command("check", folder_data, "--augment", "a2d-deep")
    assert code == 0
    assert output == "contact sheet written to augment-a2d-deep.png\n"
    with Image.open(tmp_path / "augment-a2d-deep.png") as sheet:
        assert sheet.format == "PNG"


@pytest.mark.parametrize(
    "augment", ["[{flip: {p: 0.5}}]", "demo", "recipe.yaml"], ids=["steps", "recipe", "file"]
)
def test_a_sheet_shows_steps_and_recipes_too(
    finelens_command, folder_data, tmp_path, monkeypatch, augment
):
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(
        "phases:\n"
        "- {epochs: 1, augment: none}\n- {epochs: 2, augment: light}\n- {epochs: 1, augment: none}"
    )
    out = ("--out", "sheet.png", "--size", 32)
    code, output, errors = finelens_command("check", folder_data, "--augment", augment, *out)
    assert code == 0, errors
    assert output == "contact sheet written to sheet.png\n"
    with Image.open("sheet.png") as sheet:
        # two phases of the file share a policy, and its panel
        assert (sheet.height > 2000) == (augment == "recipe.yaml")


def test_a_sheets_sample_is_an_id_a_row_or_the_first_to_train_on(table_data, folder_data):
    named, by_row, first, other = (
        finelens.contact_sheet(table_data, "light", sample=sample, size=32)
        for sample in ("00.png", 0, None, "1")
    )
    assert named.tobytes() == by_row.tobytes() == first.tobytes()
    assert named.tobytes() != other.tobytes()
    without_splits = finelens.contact_sheet(folder_data, ({"flip": {}},), size=32)
    assert without_splits.size == named.size


def test_a_sheet_of_clips_shows_frames_of_a_clip(array_data, ucf11_data):
    sheet = finelens.contact_sheet(array_data, "light", sample="4", size=32)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    augmentation = Augmentation("light", Preprocessing(32, mean, std, frames=4))
    frames_THWC = np.load(array_data)["clips"][4][[1, 3, 5, 7]]
    expected = draw_sheet(
        lambda _: frames_THWC,
        [Panel("", augmentation)],
        title="light",
        subtitle="clips.npz#4  ·  4 frames of 32 × 24 pixels, seen at 32 × 32",
    )
    assert sheet.tobytes() == expected.tobytes()
    # a recipe for pictures shows what its augmentation would do to clips
    for name in ("finetune-clips", "finetune"):
        assert finelens.contact_sheet(ucf11_data, name, size=32).width == sheet.width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--augment", "a2d-dep"], 'neither a policy, nor a recipe.*did you mean "a2d-deep"'),
        (["--augment", "[{flop: {}}]"], 'step "flop" is unknown'),
        (["--augment", "[{flip"], "augment: not valid YAML"),
        (["--augment", "{flip: {}}"], "must be a list of steps"),
        (["--augment", "none.yaml"], "recipe none.yaml: cannot be read"),
        (["--augment", "light", "--sample", "x.jpg"], 'sample "x.jpg" is neither an id, such as'),
        (["--augment", "light", "--sample", "60"], "nor a row from 0 to 59"),
        (["--problems", "p.txt"], '--problems p.txt: ".txt" is unknown; known are ".csv"'),
        (["--problems", "p.csv", "--augment", "light"], "is of the audit; leave out --augment"),
        (["--augment", "light", "--out", "sheet.jpg"], '".jpg" is unknown; known are ".png"'),
        (["--augment", "light", "--out", "no/s.png"], "the folder no does not exist"),
        (["--out", "sheet.png"], "--out sheet.png is of the contact sheet; give --augment"),
        (["--sample", "3"], "--sample 3 is of the contact sheet"),
    ],
)
def test_a_sheet_that_cannot_be_drawn_says_why(
    finelens_command, folder_data, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, _, errors = finelens_command("check", folder_data, *arguments)
    assert code == 1
    assert re.search(message, errors)
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_one_is_not_said_in_the_plural(finelens_command, folder_data, tmp_path):
    shutil.copy(folder_data / "red" / "00.jpg", tmp_path)
    (tmp_path / "one.csv").write_text("path,red,blue\n00.jpg,1,1\n")
    output = finelens_command("check", tmp_path / "one.csv")[1]
    assert "\n1 picture (no splits given" in output


def test_check_reads_a2d(finelens_command, a2d_data):
    code, output, _ = finelens_command("check", a2d_data, "--source", "a2d")
    assert code == 0
    assert "22 pictures (12 train, 6 val, 4 test)" in output


def test_check_notes_clips_without_groups(finelens_command, array_data):
    code, output, _ = finelens_command("check", array_data)
    assert code == 0
    assert "groups: 30 of 30 clips have no group" in output
    assert output.count("groups:") == 1


def test_check_says_how_many_groups_there_are_and_from_what(
    finelens_command, ucf11_data, folder_data, table_data, tmp_path
):
    _, output, _ = finelens_command("check", ucf11_data, "--source", "ucf11")
    sizes = Counter(read_ucf11(ucf11_data).groups).values()
    told = [line for line in output.splitlines() if line.startswith("groups")]
    assert told == [
        f"groups: {len(sizes)}, from the folders CLASS/v_NAME_01; clips a group: {min(sizes)}"
        + (f" to {max(sizes)}, median {np.median(sizes):.0f}" if len(set(sizes)) > 1 else "")
    ]
    # of pictures, which seldom have any, nothing is said where they have none
    assert "groups" not in finelens_command("check", folder_data)[1]
    root = pl.lit(f"{table_data.parent}/")
    table = pl.read_csv(table_data).with_columns(
        path=root + pl.col("path"), group=pl.when(pl.col("split") == "train").then(pl.lit("g"))
    )
    table.write_csv(tmp_path / "grouped.csv")
    _, output, _ = finelens_command("check", tmp_path / "grouped.csv")
    assert 'groups: 1, from column "group" of grouped.csv; pictures a group: 24' in output


def test_check_says_that_clips_divided_by_the_data_have_no_groups(
    finelens_command, tmp_path, array_data
):
    stored = np.load(array_data)
    parts = {
        f"{letter}_{split}": stored[name][n * 10 : n * 10 + 10]
        for n, split in enumerate(("train", "val", "test"))
        for letter, name in (("x", "clips"), ("y", "labels"))
    }
    np.savez(tmp_path / "divided.npz", **parts)
    code, output, _ = finelens_command("check", tmp_path / "divided.npz")
    assert code == 0
    assert "groups: none; the clips are divided as the data says" in output


@pytest.fixture
def odd_clips(tmp_path, write_video):
    """Return class folders of four clips: one long, one short, one cut off, one empty."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 24, 32, 3), dtype=np.uint8)
    for name, frames in (("a/1", noise[:40]), ("a/2", noise[:5, :16]), ("b/3", noise[40:])):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "clips" / f"{name}.avi", frames, rate=10)
    whole = (tmp_path / "clips" / "b" / "3.avi").read_bytes()
    (tmp_path / "clips" / "b" / "3.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "clips" / "b" / "4.avi").touch()
    return tmp_path / "clips"


def test_check_says_what_clips_hold_and_what_is_wrong_with_them(finelens_command, odd_clips):
    code, output, _ = finelens_command("check", odd_clips)
    assert code == 0
    assert "4 clips (no splits given" in output
    assert "pixels: 32 x 24 (2), 32 x 16 (1)" in output
    assert re.search(r"seconds a clip: 0.5 to 4.0, median \d", output)
    assert re.search(r"frames a clip: 5 to 40, median \d+; .* last frame is repeated", output)
    assert "unreadable: 1\n  b/4.avi: the file is empty" in output
    assert "not whole, used as far as they can be read: 1\n  b/3.avi: cut off in the" in output
    assert "pictures" not in output
    assert f"then: finelens train --data {odd_clips}" in output


def test_check_keeps_facts_of_clips_unless_told_not_to(
    finelens_command, odd_clips, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert finelens_command("check", odd_clips, "--no-cache")[0] == 0
    assert not (tmp_path / "cache").exists()
    told = [finelens_command("check", odd_clips)[1] for _ in range(2)]
    assert told[0] == told[1]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3
