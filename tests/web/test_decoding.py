import io
import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image

from finelens.data.images import read_image
from finelens.data.preprocessing import Preprocessing
from finelens.web.decoder import Thumbnail, View
from finelens.web.decoding import Decoding
from finelens.web.limits import Limits
from finelens.web.problems import Refusal
from finelens.web.thumbnail import media_type

PREPROCESSING = Preprocessing(16, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


@pytest.fixture
def start():
    """Return a function that starts one decoder with limits."""
    started = []

    def opened(observe=lambda _seconds: None, **limits):
        started.append(Decoding(Limits(**limits), num_workers=1, observe=observe))
        return started[-1]

    yield opened
    for decoding in started:
        decoding.close()


@pytest.fixture
def picture(tmp_path, picture_bytes):
    path = tmp_path / "0123456789abcdef"
    path.write_bytes(picture_bytes(0))
    return str(path)


def wait_for_the_end_of(process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} lives")


def test_a_view_is_the_one_that_predict_makes(start, picture):
    encoded = start().submit(View(picture, PREPROCESSING)).result(60)
    expected_CHW = PREPROCESSING(read_image(picture)).numpy()
    assert np.array_equal(np.frombuffer(encoded, np.uint8).reshape(3, 16, 16), expected_CHW)


def test_a_decoder_that_hangs_is_killed_and_followed_by_another(start, picture):
    seconds = []
    decoding = start(seconds.append, decoding_s=1.0)
    decoding.submit(View(picture, PREPROCESSING)).result(60)
    (hung,) = decoding.process_ids
    os.kill(hung, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(Refusal, match=r"not decoded within the limit of 1 s") as refused:
        decoding.submit(View(picture, PREPROCESSING)).result(60)
    assert 0.9 < time.monotonic() - begun < 20
    assert refused.value.problem.type.endswith("decoding-took-too-long")
    (other,) = decoding.process_ids
    assert other != hung
    wait_for_the_end_of(hung)
    assert len(decoding.submit(View(picture, PREPROCESSING)).result(60)) == 3 * 16 * 16
    assert len(seconds) == 3


def test_a_decoder_that_dies_of_a_file_is_that_files_problem_alone(start, picture):
    decoding = start()
    decoding.submit(View(picture, PREPROCESSING)).result(60)
    (process,) = decoding.process_ids
    os.kill(process, signal.SIGSTOP)
    waiting = decoding.submit(View(picture, PREPROCESSING))
    threading.Timer(0.3, os.kill, (process, signal.SIGKILL)).start()
    with pytest.raises(Refusal, match="its decoder died of it"):
        waiting.result(60)
    assert decoding.submit(View(picture, PREPROCESSING)).result(60)


def test_a_decoder_that_died_between_files_is_nobodys_problem(start, picture):
    decoding = start()
    decoding.submit(View(picture, PREPROCESSING)).result(60)
    (process,) = decoding.process_ids
    os.kill(process, signal.SIGKILL)
    wait_for_the_end_of(process)
    assert decoding.submit(View(picture, PREPROCESSING)).result(60)


def test_where_a_file_lies_is_not_told(start, tmp_path):
    path = tmp_path / "secret-place"
    path.write_bytes(b"\xff\xd8\xff" + bytes(100))
    with pytest.raises(Refusal) as refused:
        start().submit(View(str(path), PREPROCESSING)).result(60)
    assert refused.value.problem.status == 422
    assert "secret-place" not in refused.value.problem.detail


def test_a_big_pictures_thumbnail_has_the_size_asked_for(start, tmp_path, picture_bytes):
    (tmp_path / "a").write_bytes(picture_bytes(0, "JPEG", (1200, 901)))
    job = Thumbnail(str(tmp_path / "a"), (None, None), False, 100, is_moving=False)
    assert Image.open(io.BytesIO(start().submit(job).result(60))).size == (100, 75)


def test_a_clips_thumbnail_moves_where_it_is_asked_to(start, ucf11_data):
    decoding = start()
    path = str(next(ucf11_data.rglob("*.avi")))
    still, moving = (
        decoding.submit(Thumbnail(path, (None, None), True, 100, is_moving)).result(60)
        for is_moving in (False, True)
    )
    assert (media_type(still), media_type(moving)) == ("image/jpeg", "image/webp")
    assert Image.open(io.BytesIO(still)).size == (64, 48)
    assert Image.open(io.BytesIO(moving)).n_frames > 4


def test_closing_ends_the_processes(picture):
    decoding = Decoding(Limits(), num_workers=2)
    decoding.submit(View(picture, PREPROCESSING)).result(60)
    deadline = time.monotonic() + 20
    while None in (processes := decoding.process_ids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(set(processes)) == 2
    decoding.close()
    decoding.close()
    for process in processes:
        wait_for_the_end_of(process)
