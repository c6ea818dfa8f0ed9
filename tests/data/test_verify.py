import numpy as np
from PIL import Image

from finelens.data.verify import find_unreadable


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


def test_no_files_are_no_problems():
    assert find_unreadable([]) == {}
