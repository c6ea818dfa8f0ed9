import numpy as np
import pytest
from PIL import Image

from finelens.data.clip_facts import probe_clip, probe_clips
from finelens.data.frame_cache import FrameCache
from finelens.errors import DataError

WHOLE = (None, None)


def noise(num_frames=20, seed=0, height=24, width=32):
    return np.random.default_rng(seed).integers(0, 256, (num_frames, height, width, 3), np.uint8)


def facts_of(found):
    """Return the facts without the fingerprint."""
    return [
        {name: value for name, value in vars(one).items() if name != "fingerprint"}
        for one in found
        if not isinstance(one, str)
    ]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    for n in range(3):
        Image.new("RGB", (8, 6), (9 * n, 0, 0)).save(tmp_path / "frames" / f"{n}.png")
    return str(tmp_path / "frames")


def test_facts_are_those_of_what_was_written(tmp_path, write_video, folder):
    write_video(tmp_path / "a.avi", noise(), rate=10)
    np.save(tmp_path / "a.npy", np.zeros((2, 7, 5, 4, 3), np.uint8))
    video, array = str(tmp_path / "a.avi"), f"{tmp_path}/a.npy#1"
    done = []
    found = probe_clips([(place, WHOLE) for place in (video, array, folder)], progress=done.append)
    assert facts_of(found) == [
        {"num_frames": 20, "duration_s": 2.0, "height": 24, "width": 32, "note": None},
        {"num_frames": 7, "duration_s": None, "height": 5, "width": 4, "note": None},
        {"num_frames": 3, "duration_s": None, "height": 6, "width": 8, "note": None},
    ]
    assert sum(done) == 3


def test_facts_are_those_of_the_part_that_is_the_clip(tmp_path, write_video):
    path = str(tmp_path / "a.avi")
    write_video(tmp_path / "a.avi", noise(), rate=10)
    spans = [(0.5, 1.0), (1.5, None), (None, 0.3), (1.5, 9.0), (2.5, 3.0), (2.0, 1.0)]
    found = probe_clips([(path, span) for span in spans])
    assert [(one["num_frames"], round(one["duration_s"], 6)) for one in facts_of(found)] == [
        (5, 0.5), (5, 0.5), (3, 0.3), (5, 0.5),
    ]  # fmt: skip
    assert found[4] == "start_s 2.5 lies after the clip's end, 2.00 s"
    assert found[5] == "start_s 2 and end_s 1 are no time range; 0 <= start_s < end_s must hold"


def test_what_cannot_be_read_is_told_in_its_place(tmp_path, folder):
    (tmp_path / "empty.mp4").touch()
    Image.new("RGB", (9, 6)).save(f"{folder}/2.png")
    places = [(f"{tmp_path}/{name}", WHOLE) for name in ("empty.mp4", "none.avi", "frames")]
    empty, missing, odd = probe_clips(places)
    assert empty == "the file is empty"
    assert missing == "cannot be opened: No such file or directory"
    assert isinstance(odd, str)
    assert odd.startswith("frame 2.png is 9 x 6 pixels")
    with pytest.raises(DataError, match=r"frames: frame 2.png is 9 x 6"):
        probe_clip(folder)


def test_frames_missing_at_an_end_are_told_and_steps_are_none_missing(folder):
    assert probe_clip(f"{folder}#0-2").note is None
    assert probe_clip(f"{folder}#0-5").note == "incomplete: frames 0 to 2 are there, of 0 to 5"
    (Image.new("RGB", (8, 6))).save(f"{folder}/10.png")
    assert probe_clip(f"{folder}#0-10").note is None


def test_fingerprints_are_of_what_is_seen_whatever_holds_it(tmp_path, folder):
    frames = np.stack([np.full((6, 8, 3), (9 * n, 0, 0), np.uint8) for n in range(3)])
    np.save(tmp_path / "a.npy", np.stack([frames, frames[::-1]]))
    same, turned = (probe_clip(f"{tmp_path}/a.npy#{row}").fingerprint for row in range(2))
    assert probe_clip(folder).fingerprint == same
    assert turned.content != same.content


def test_a_cache_spares_the_decoding_until_the_file_is_another(tmp_path, write_video):
    path = str(tmp_path / "a.avi")
    cache = FrameCache(tmp_path / "cache", max_bytes=1 << 30)
    write_video(tmp_path / "a.avi", noise(20), rate=10)
    first = probe_clip(path, cache=cache)
    assert first == probe_clip(path)
    [entry] = (tmp_path / "cache").rglob("*.npy")
    # what is kept is what is told
    array = np.load(entry)
    np.save(entry, np.frombuffer(array.tobytes().replace(b"20", b"21", 1), np.uint8))
    assert probe_clip(path, cache=cache).num_frames == 21
    assert probe_clip(path, (0.5, 1.0), cache=cache).num_frames == 5
    write_video(tmp_path / "a.avi", noise(12), rate=10)
    assert probe_clip(path, cache=cache).num_frames == 12


def test_a_damaged_entry_of_the_cache_is_no_error(tmp_path, write_video):
    path = str(tmp_path / "a.avi")
    write_video(tmp_path / "a.avi", noise(), rate=10)
    cache = FrameCache(tmp_path / "cache", max_bytes=1 << 30)
    sound = probe_clip(path, cache=cache)
    (entry,) = (tmp_path / "cache").rglob("*.npy")
    entry.write_bytes(entry.read_bytes()[:-40] + bytes(40))
    assert probe_clip(path, cache=cache) == sound
