import polars as pl
import pytest

from finelens.data.groups import missing_group_note
from finelens.data.manifest import build_manifest


def manifest_of(extension, groups, splits):
    names = [f"{n}{extension}" for n in range(len(groups))]
    return build_manifest(
        pl.DataFrame(
            {
                "id": names,
                "path": [f"/data/{name}" for name in names],
                "labels": [["ab"[n % 2]] for n in range(len(groups))],
                "split": pl.Series(splits, dtype=pl.String),
                "group": pl.Series(groups, dtype=pl.String),
            }
        )
    )


@pytest.mark.parametrize(
    ("groups", "splits", "count"),
    [
        ([None] * 4, [None] * 4, "4 of 4 clips"),
        (["g", None, "h", None], [None] * 4, "2 of 4 clips"),
        ([None] * 4, ["train", "train", "test", "test"], "2 of 4 clips"),
    ],
)
def test_clips_that_are_divided_without_groups_get_a_note(groups, splits, count):
    note = missing_group_note(manifest_of(".avi", groups, splits))
    assert note is not None
    assert note.startswith(count)


@pytest.mark.parametrize(
    ("extension", "groups", "splits"),
    [
        (".jpg", [None] * 4, [None] * 4),
        (".avi", ["g", "g", "h", "h"], [None] * 4),
        (".avi", [None] * 4, ["train", "train", "val", "test"]),
    ],
)
def test_pictures_groups_and_given_splits_need_none(extension, groups, splits):
    assert missing_group_note(manifest_of(extension, groups, splits)) is None
