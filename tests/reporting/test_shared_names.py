import numpy as np

from finelens.evaluation.scores import Scores
from finelens.reporting.shared_names import find_namesakes, share_names
from finelens.task import Task, TaskKind


def scores_of(ids, paths, spans=None):
    shape = (len(ids), 2)
    return Scores(
        ids=tuple(ids),
        paths=tuple(map(str, paths)),
        logits_NK=np.zeros(shape, dtype=np.float32),
        targets_NK=np.zeros(shape, dtype=np.float32),
        errors=(None,) * len(ids),
        task=Task(TaskKind.MULTI_LABEL, ("a", "b")),
        spans=spans,
    )


def test_names_that_are_shared_stay_wherever_the_files_lie():
    runs = [scores_of(["a", "b"], ["/x/a", "/x/b"]), scores_of(["b", "c"], ["/y/b", "/y/c"])]
    named = share_names(runs)
    assert [one.scores.ids for one in named] == [("a", "b"), ("b", "c")]
    assert [one.renamed for one in named] == [None, None]


def test_files_of_another_name_take_that_of_the_run_before(tmp_path):
    files = [tmp_path / f"{n}.png" for n in range(3)]
    for file in files:
        file.touch()
    (tmp_path / "link").symlink_to(tmp_path)
    absolute = [str(tmp_path / "link" / file.name) for file in files]
    first = scores_of(["0.png", "1.png"], files[:2])
    named = share_names([
        first, scores_of(absolute[::-1], absolute[::-1]), scores_of(["two"], files[2:])
    ])  # fmt: skip
    assert named[0].scores is not None
    assert named[0].renamed is None
    assert named[1].scores.ids == (absolute[2], "1.png", "0.png")
    assert named[1].renamed == (absolute[1], "1.png")
    # what the first run does not hold is called as the second one calls it
    assert named[2].scores.ids == (absolute[2],)


def test_parts_of_a_video_are_told_apart_and_names_stay_unique():
    first = scores_of(["a", "b"], ["/x/v.avi"] * 2, spans=((0.0, 1.0), (1.0, 2.0)))
    other = scores_of(["p", "q", "r"], ["/x/v.avi"] * 3, spans=((1.0, 2.0), (0.0, 2.0), (1.0, 2.0)))
    assert share_names([first, other])[1].scores.ids == ("b", "q", "r")


def test_namesakes_end_in_one_another():
    found = find_namesakes(["/d/walk/a.avi", "run/b.avi", "c.avi"], ["walk/a.avi", "/d/run/b.avi"])
    assert sorted(found) == [("/d/walk/a.avi", "walk/a.avi"), ("run/b.avi", "/d/run/b.avi")]
    assert find_namesakes(["walk/a.avi"], ["alk/a.avi", "walk/a.avi/x"]) == []
