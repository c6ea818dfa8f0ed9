import pytest

from finelens.data.clip_places import ClipPlace, is_clip, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/d/clip.MP4", ClipPlace("/d/clip.MP4")),
        ("/d/frames/0001", ClipPlace("/d/frames/0001")),
        ("/d/x.npy#17", ClipPlace("/d/x.npy", element=17)),
        ("/d#1/x.NPZ#0", ClipPlace("/d#1/x.NPZ", element=0)),
        ("/d/x.npz#clips/17", ClipPlace("/d/x.npz", element=17, member="clips")),
        ("/d/0001#1-17", ClipPlace("/d/0001", first=1, last=17)),
        ("/d/a#1-2/0001#03-17", ClipPlace("/d/a#1-2/0001", first=3, last=17)),
        ("/d/x.npy", ClipPlace("/d/x.npy")),
        ("/d/take #3.avi", ClipPlace("/d/take #3.avi")),
        ("/d/x.npy#", ClipPlace("/d/x.npy#")),
    ],
)
def test_a_place_is_read(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "place",
    [
        ClipPlace("/d/clip.avi"),
        ClipPlace("/d/x.npy", element=3),
        ClipPlace("/d/x.npz", element=3, member="a/b"),
        ClipPlace("/d/0001", first=4, last=9),
    ],
)
def test_what_a_place_writes_is_read_back(place):
    assert parse_place(str(place)) == place


def test_videos_are_told_by_extension():
    assert is_clip("a.MPG")
    assert not is_clip("._a.mpg")
    assert not is_clip("a.npy")
