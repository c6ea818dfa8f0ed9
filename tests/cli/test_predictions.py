import csv
import shutil

import numpy as np
import polars as pl
import pytest

from finelens.models.folder import load_model


@pytest.fixture(scope="module")
def a2d_run(a2d_data, tmp_path_factory):
    """Return a complete run on A2D, whose test split is unlabelled; do not change it."""
    import finelens

    tiny = ("model.backbone=test_resnet", "model.pretrained=false", "input.size=32",
            "train.batch_size=8", "train.num_workers=0", "phases.0.epochs=1", "phases.1.epochs=1",
            "decide.threshold=0.1")  # fmt: skip
    run = tmp_path_factory.mktemp("runs") / "a2d"
    return finelens.train("finetune", a2d_data, settings=tiny, run=run)


def read_csv(path):
    return list(csv.DictReader(path.open()))


def test_an_unlabelled_test_list_is_handed_in_as_training_ends(a2d_run, a2d_data):
    folder = a2d_run / "evaluation" / "test"
    assert sorted(file.name for file in folder.iterdir()) == [
        "decisions.csv", "decisions.npy", "scores.parquet",
    ]  # fmt: skip
    decisions_NK = np.load(folder / "decisions.npy", allow_pickle=False)
    assert decisions_NK.shape == (4, 43)
    probabilities_NK = pl.read_parquet(folder / "scores.parquet")["probabilities"].to_numpy()
    np.testing.assert_array_equal(decisions_NK, probabilities_NK >= 0.1)
    assert 0 < decisions_NK.sum() < decisions_NK.size
    listed = (a2d_data / "list" / "test.txt").read_text().split()
    rows = read_csv(folder / "decisions.csv")
    assert [row["id"] for row in rows] == [f"pngs320H/{frame}.png" for frame in listed]
    assert list(rows[0])[1:] == list(load_model(a2d_run / "model").task.classes)


def test_predicting_the_split_writes_the_same_files(finelens_command, a2d_run, tmp_path):
    code, output, _ = finelens_command(
        "predict", a2d_run, "--split", "test", "--decisions", tmp_path / "test.npy"
    )
    assert code == 0
    assert output.strip().endswith(
        f"decisions on 4 pictures written to {tmp_path / 'test.npy'} and {tmp_path / 'test.csv'}"
    )
    folder = a2d_run / "evaluation" / "test"
    for suffix in (".npy", ".csv"):
        written = (tmp_path / f"test{suffix}").read_bytes()
        assert written == (folder / f"decisions{suffix}").read_bytes()


def test_evaluating_an_unlabelled_split_says_how_to_predict_it(finelens_command, a2d_run):
    code, _, errors = finelens_command("evaluate", a2d_run, "--split", "test")
    assert code == 1
    assert "4 pictures of test have no labels" in errors
    assert f"`finelens predict {a2d_run} --split test --decisions test.npy`" in errors


def test_a_run_with_an_unlabelled_split_is_listed_and_compared_by_val(
    finelens_command, a2d_run, tmp_path
):
    top = tmp_path / "top.csv"
    assert finelens_command("top", a2d_run, "-n", 1, "--out", top)[0] == 0
    assert set(pl.read_csv(top)["id"].str.extract(r"pngs320H/(.*)/")) <= {"-val0", "val1", "val2"}
    shutil.copytree(a2d_run, tmp_path / "other")
    out = tmp_path / "comparison"
    code, output, _ = finelens_command("compare", a2d_run, tmp_path / "other", "--out", out)
    assert code == 0
    assert "val" in output
    code, output, _ = finelens_command("top", a2d_run, "-n", 1, "--split", "test", "--out", top)
    assert code == 0
    assert pl.read_csv(top)["is_positive"].null_count() == 43


def test_decisions_on_pictures_are_written_and_not_printed(
    finelens_command, trained, table_data, tmp_path
):
    (tmp_path / "broken.jpg").write_text("no picture")
    picture = table_data.parent / "00.png"
    code, output, _ = finelens_command(
        "predict", trained, picture, tmp_path / "broken.jpg", "--decisions", tmp_path / "a.csv"
    )
    assert code == 0
    said = "2 pictures, 1 of them unreadable (zeros in a.npy, empty in a.csv), written to "
    assert said in output
    assert f"{picture}:" not in output
    assert np.load(tmp_path / "a.npy").shape == (2, 3)
    rows = read_csv(tmp_path / "a.csv")
    assert [row["id"] for row in rows] == [str(picture), str(tmp_path / "broken.jpg")]
    assert rows[1]["red"] == ""


def test_a_split_is_predicted_in_its_order_with_its_ids(finelens_command, trained, tmp_path):
    out = tmp_path / "val.jsonl"
    code, output, _ = finelens_command("predict", trained, "--split", "val", "--out", out)
    assert code == 0
    assert "12 rows written" in output
    table = pl.read_ndjson(out)
    assert table.columns == ["id", "path", "labels", "true_labels", "error", "probabilities"]
    known = pl.read_parquet(trained / "manifest.parquet").filter(pl.col("split") == "val")
    assert table["true_labels"].to_list() == known["labels"].list.sort().to_list()
    scores = pl.read_parquet(trained / "evaluation" / "val" / "scores.parquet")
    assert table["id"].to_list() == scores["id"].to_list()
    names = load_model(trained / "model").task.classes
    predicted_NK = table["probabilities"].struct.unnest().select(names).to_numpy()
    np.testing.assert_allclose(predicted_NK, scores["probabilities"].to_numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of the two"),
        (["a.jpg", "--split", "test"], "give one of the two"),
        (["--split", "tets"], 'did you mean "test"'),
        (["a.jpg", "--decisions", "a.npz"], '--decisions a.npz: ".npz" is unknown'),
        (["a.jpg", "--decisions", "none/a.npy"], "folder none does not exist"),
        (["a.jpg", "--out", "a.csv", "--decisions", "a.npy"], "writes a.csv too"),
    ],
)
def test_what_contradicts_itself_is_one_clear_error(finelens_command, trained, arguments, message):
    code, _, errors = finelens_command("predict", trained, *arguments)
    assert code == 1
    assert message in errors


def test_a_decisions_folder_in_the_way_is_found_before_the_work(
    finelens_command, trained, tmp_path
):
    (tmp_path / "a.csv").mkdir()
    code, _, errors = finelens_command(
        "predict", trained, "--split", "val", "--decisions", tmp_path / "a.npy"
    )
    assert code == 1
    assert "no file can be written there" in errors
