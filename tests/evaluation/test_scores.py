import numpy as np
import polars as pl
import pytest

from finelens.decision import Decision
from finelens.errors import RunError
from finelens.evaluation.scores import read_scores, write_scores
from finelens.task import Task, TaskKind

NAN = np.nan


@pytest.fixture
def mixed_scores(scores_of):
    return scores_of(
        [[1, -2], [NAN, NAN], [0.5, 3]],
        [[1, 0], [1, 1], [NAN, NAN]],
        errors=[None, "truncated file", None],
    )


def test_scores_survive_writing_and_reading(mixed_scores, tmp_path):
    path = tmp_path / "evaluation" / "val" / "scores.parquet"
    write_scores(path, mixed_scores, Decision(temperature=2.0, thresholds=(0.5, 0.5)))
    back = read_scores(path, mixed_scores.task)
    assert (back.ids, back.paths, back.errors) == (
        mixed_scores.ids,
        mixed_scores.paths,
        mixed_scores.errors,
    )
    np.testing.assert_array_equal(back.logits_NK, mixed_scores.logits_NK)
    np.testing.assert_array_equal(back.targets_NK, mixed_scores.targets_NK)
    assert back.logits_NK.dtype == back.targets_NK.dtype == np.float32
    assert [item.name for item in path.parent.iterdir()] == ["scores.parquet"]


def test_the_file_holds_the_calibrated_probabilities(mixed_scores, tmp_path):
    decision = Decision(temperature=2.0, thresholds=(0.5, 0.5))
    write_scores(tmp_path / "scores.parquet", mixed_scores, decision)
    table = pl.read_parquet(tmp_path / "scores.parquet")
    assert table.columns == [
        "id", "path", "group", "start_s", "end_s", "error", "probabilities", "logits", "targets",
    ]  # fmt: skip
    expected = 1 / (1 + np.exp(-mixed_scores.logits_NK.astype(float) / 2))
    np.testing.assert_allclose(table["probabilities"].to_numpy(), expected)


def test_no_pictures_can_be_written_and_read(scores_of, tmp_path):
    empty = scores_of(np.zeros((0, 2)), np.zeros((0, 2)))
    write_scores(tmp_path / "scores.parquet", empty, Decision(thresholds=(0.5, 0.5)))
    assert read_scores(tmp_path / "scores.parquet", empty.task).logits_NK.shape == (0, 2)


def test_labelled_keeps_the_readable_pictures_with_labels(mixed_scores):
    assert mixed_scores.readable().ids == ("0.jpg", "2.jpg")
    assert mixed_scores.labelled().ids == ("0.jpg",)
    assert mixed_scores.labelled().logits_NK.tolist() == [[1, -2]]


def test_a_missing_foreign_or_other_file_is_an_error(mixed_scores, tmp_path):
    path = tmp_path / "scores.parquet"
    with pytest.raises(RunError, match=r"scores\.parquet cannot be read"):
        read_scores(path, mixed_scores.task)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(RunError, match="cannot be read"):
        read_scores(path, mixed_scores.task)
    pl.DataFrame({"id": ["a"]}).write_parquet(path)
    with pytest.raises(RunError, match="cannot be read"):
        read_scores(path, mixed_scores.task)
    write_scores(path, mixed_scores, Decision(thresholds=(0.5, 0.5)))
    with pytest.raises(RunError, match="the model has 3 classes"):
        read_scores(path, Task(TaskKind.MULTI_LABEL, ("a", "b", "c")))
