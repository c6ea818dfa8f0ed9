import shutil


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
    assert 'did you mean "finetune"?' in errors


def test_check_counts_classes_and_finds_nothing_wrong(finelens_command, folder_data):
    code, output, _ = finelens_command("check", folder_data)
    assert code == 0
    assert "60 pictures" in output
    assert "nothing stands against training" in output
    assert f"finelens train --data {folder_data}" in output


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
    assert "mend the above first" in output
