from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from finelens.data.images import read_image
from finelens.data.manifest import build_manifest
from finelens.data.sampling import Sampling
from finelens.data.verify import clip_remarks, find_unreadable, verify
from finelens.errors import DataError


def test_unreadable_files_are_named_with_their_reason_in_order(tmp_path):
    paths = [str(tmp_path / f"{n:02d}.png") for n in range(40)]
    for path in paths:
        Image.fromarray(np.full((4, 4, 3), 90, dtype=np.uint8)).save(path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    bad = [str(tmp_path / name) for name in ("text.png", "none.jpg", "cut.jpg")]
    done = []
    found = find_unreadable([*paths, *bad], progress=done.append)
    assert list(found) == bad
    assert all(found.values())
    assert not any(path in reason for path, reason in found.items())
    assert done == [32, 11]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_damage_of_a_big_jpeg_is_found_as_decoding_all_of_it_finds_it(tmp_path, options):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg", **options)
    whole = (tmp_path / "whole.jpg").read_bytes()
    flipped = bytearray(whole)
    for place in range(len(whole) // 3, len(whole) - 2, 997):
        flipped[place] ^= 0xFF
    damaged = {
        "half.jpg": whole[: len(whole) // 2],
        "most.jpg": whole[: len(whole) * 9 // 10],
        "end.jpg": whole[:-2],
        "flipped.jpg": bytes(flipped),
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    reasons = {}
    for path in paths:
        try:
            read_image(path)
        except DataError as error:
            reasons[path] = str(error).removeprefix(f"{path}: ")
    assert find_unreadable(paths) == reasons
    assert {"half.jpg", "most.jpg", "end.jpg"} <= {Path(path).name for path in reasons}
    assert "whole.jpg" not in {Path(path).name for path in reasons}


def test_no_files_are_no_problems():
    assert find_unreadable([]) == {}


def manifest_of(root, names, **columns):
    rows = {"id": names, "path": [f"{root}/{name.partition('#')[0]}" for name in names]}
    labels = [["ab"[n % 2]] for n in range(len(names))]
    return build_manifest(pl.DataFrame(rows | {"labels": labels} | columns))


def test_problems_of_pictures_are_told_by_id(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    found = verify(manifest_of(tmp_path, ["a.png", "b.png"]))
    assert list(found.problems) == ["b.png"]
    assert found.problems["b.png"].startswith("not a picture")
    assert not found.facts


@pytest.fixture
def clips(tmp_path, write_video):
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), np.uint8)
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.avi", noise[: 12 if name == "c" else 20], rate=10)
    whole = (tmp_path / "b.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.avi").touch()
    return tmp_path


def test_clips_have_facts_notes_and_problems(clips):
    done = []
    manifest = manifest_of(clips, ["a.avi", "b.avi", "c.avi", "d.avi"])
    found = verify(manifest, progress=done.append)
    assert found.problems == {"d.avi": "the file is empty"}
    num_left = found.facts["b.avi"].num_frames
    assert [one.num_frames for one in found.facts.values()] == [20, num_left, 12]
    assert 1 < num_left < 12
    assert list(found.notes) == ["b.avi"]
    assert found.notes["b.avi"].startswith(f"cut off in the middle: {num_left} frames")
    assert sum(done) == 4


def test_parts_of_one_video_are_verified_each(clips):
    names = ["a.avi#0.0-1.0", "a.avi#1.0-9.0", "a.avi#7.0-9.0"]
    spans = {"start_s": [0.0, 1.0, 7.0], "end_s": [1.0, 9.0, 9.0]}
    found = verify(manifest_of(clips, names, **spans))
    assert list(found.facts) == names[:2]
    assert found.problems == {names[2]: "start_s 7 lies after the clip's end, 2.00 s"}


def test_remarks_name_clips_that_are_cut_off_and_count_those_that_are_short(clips):
    found = verify(manifest_of(clips, ["a.avi", "b.avi", "c.avi", "d.avi"]))
    [cut, short] = clip_remarks(found, Sampling(15))
    assert cut.startswith("1 of 3 clips are not whole: b.avi is cut off in the middle")
    assert short == (
        "2 of 3 clips have fewer than the 15 frames asked for, the shortest "
        f"{found.facts['b.avi'].num_frames}: their last frame is repeated"
    )
    assert [*clip_remarks(found, Sampling(2))] == [cut]
    # every third of eight from the second on reaches to the 23rd
    [_, short] = clip_remarks(found, Sampling(8, stride=3, start=1))
    assert short.startswith("3 of 3 clips have fewer than the 23 frames")
