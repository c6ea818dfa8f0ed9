import polars as pl
import pytest
from PIL import Image

from finelens.data.manifest import build_manifest
from finelens.data.media import find_medium
from finelens.errors import DataError


def table(*paths, **columns):
    rows = {"id": list(paths), "path": list(paths), "start_s": None, "end_s": None, **columns}
    return pl.DataFrame(rows, schema_overrides={"start_s": pl.Float64, "end_s": pl.Float64})


@pytest.mark.parametrize(
    "path", ["/d/a.MP4", "/d/a.mpg", "/d/0001/", "/d/0001#1-17", "/d/x.npy#3", "/d/x.NPZ#clips/3"]
)
def test_videos_folders_of_frames_and_elements_of_arrays_are_clips(path):
    assert find_medium(table(path, "/d/b.gif")) == "clips"


@pytest.mark.parametrize("path", ["/d/a.JPG", "/d/no extension", "/d/b.npy", "/d/1-17", "/d/mp4"])
def test_all_else_is_a_picture(path):
    assert find_medium(table(path, "/d/b.gif")) == "pictures"


def test_gifs_alone_are_clips_where_one_is_animated_or_a_row_has_a_span(tmp_path):
    still, other = Image.new("L", (8, 8)), Image.new("L", (8, 8), 255)
    still.save(tmp_path / "still.gif")
    still.save(tmp_path / "animated.gif", save_all=True, append_images=[other])
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    assert find_medium(table(f"{tmp_path}/animated.gif", f"{tmp_path}/still.gif")) == "clips"
    still.save(tmp_path / "a-still.gif")
    assert find_medium(table(f"{tmp_path}/a-still.gif", f"{tmp_path}/animated.gif")) == "clips"
    assert find_medium(table(f"{tmp_path}/still.gif")) == "pictures"
    assert find_medium(table(f"{tmp_path}/broken.gif")) == "pictures"
    assert find_medium(table(f"{tmp_path}/still.gif", end_s=[2.0])) == "clips"


def test_a_mixture_is_refused_by_name():
    rows = table("/d/a.avi", "/d/b.jpg", "/d/c.avi").with_columns(
        labels=pl.Series([["a"], ["b"], ["a"]])
    )
    message = r'mixes pictures \("/d/b.jpg", 1 such\) and clips \("/d/a.avi", 2 such\)'
    with pytest.raises(DataError, match=message):
        build_manifest(rows)


def test_a_manifest_knows_its_medium():
    labels = pl.Series([["a"], ["b"]])
    assert build_manifest(table("a.avi", "b.avi").with_columns(labels=labels)).media == "clips"
    assert build_manifest(table("a.jpg", "b.jpg").with_columns(labels=labels)).media == "pictures"
