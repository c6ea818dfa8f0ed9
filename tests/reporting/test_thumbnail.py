import base64
import io

import numpy as np
import pytest
from PIL import Image

from finelens.data.sampling import Sampling
from finelens.reporting.thumbnail import FRAME_WIDTH_PX, THUMBNAIL_SIZE_PX, Strip, thumbnail


def decoded(uri):
    encoded = uri.removeprefix("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))


def greys_of(uri, num_frames):
    strip_HWC = decoded(uri)
    assert strip_HWC.shape[1] == num_frames * FRAME_WIDTH_PX
    frames = np.split(strip_HWC, num_frames, axis=1)
    # neighbours share a block of the JPEG at their border
    return [frame[:, 12:-12].mean() for frame in frames]


@pytest.fixture
def gif(tmp_path):
    """Return a GIF of 25 frames, ten a second, each 10 levels lighter than the one before."""
    path = tmp_path / "lighter.GIF"
    first, *others = [Image.new("L", (40, 30), 10 * number) for number in range(25)]
    first.save(path, save_all=True, append_images=others, duration=100)
    return str(path)


def test_thumbnail_is_a_small_square_jpeg_of_the_middle(tmp_path):
    wide = np.zeros((100, 300, 3), dtype=np.uint8)
    wide[:, 100:200] = (200, 0, 0)
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    image_HWC = decoded(thumbnail(str(path)))
    assert image_HWC.shape == (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX, 3)
    assert np.abs(image_HWC.mean(axis=(0, 1)) - (200, 0, 0)).max() < 6


def test_thumbnail_of_a_big_jpeg_is_that_of_its_copy_of_another_kind(tmp_path):
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((1605, 1203), Image.Resampling.BICUBIC)
    image.save(tmp_path / "a.jpg", quality=95)
    image.save(tmp_path / "a.bmp")
    one, other = (
        decoded(thumbnail(str(tmp_path / name))).astype(int) for name in ("a.jpg", "a.bmp")
    )
    assert np.abs(one - other).mean() < 2


@pytest.mark.parametrize("strip", [None, Strip(5)])
def test_thumbnail_of_what_cannot_be_read_is_none(tmp_path, strip):
    (tmp_path / "text.jpg").write_text("no picture")
    assert thumbnail(str(tmp_path / "text.jpg"), strip=strip) is None
    assert thumbnail(str(tmp_path / "gone.avi"), strip=strip) is None


def test_strip_shows_a_clips_frames_in_the_order_of_time(gif):
    expected = 10 * Sampling(5).indices(25)
    assert greys_of(thumbnail(gif, strip=Strip(5)), 5) == pytest.approx(expected, abs=3)


def test_strip_comes_from_the_part_of_the_video_that_is_the_clip(gif):
    greys = greys_of(thumbnail(gif, (1.0, 2.0), strip=Strip(4)), 4)
    assert greys == pytest.approx(100 + 10 * Sampling(4).indices(10), abs=3)


def test_frames_left_out_at_the_beginning_are_not_shown(gif):
    greys = greys_of(thumbnail(gif, strip=Strip(3, stride=2, start=10)), 3)
    assert greys == pytest.approx([100, 120, 140], abs=3)


def test_the_same_gif_is_a_picture_to_a_model_of_pictures(gif):
    assert decoded(thumbnail(gif)).shape == (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX, 3)


@pytest.mark.parametrize(
    ("size", "height"), [((64, 64), 96), ((160, 120), 72), ((400, 100), 72), ((100, 400), 128)]
)
def test_frames_keep_their_shape_within_limits(tmp_path, size, height):
    frames_THWC = np.zeros((1, 3, size[1], size[0], 3), dtype=np.uint8)
    np.save(tmp_path / "clips.npy", frames_THWC)
    strip_HWC = decoded(thumbnail(f"{tmp_path}/clips.npy#0", strip=Strip(3)))
    assert strip_HWC.shape == (height, 3 * FRAME_WIDTH_PX, 3)


@pytest.mark.parametrize(
    ("frames", "stride", "start"),
    [(30, None, 0), (30, None, 100), (30, 2, 0), (16, 4, 60), (9, 1, 0), (3, 7, 0)],
)
def test_strip_covers_what_the_model_sees(frames, stride, start):
    strip = Strip.of_model(frames, stride=stride, start=start)
    shown = Sampling(strip.frames, strip.stride, strip.start).indices(300)
    seen = Sampling(frames, stride, start).indices(300)
    assert len(shown) == min(frames, 5)
    apart = seen[-1] - seen[0]
    assert abs(shown[0] - seen[0]) <= 0.15 * apart
    assert abs(shown[-1] - seen[-1]) <= 0.15 * apart
    assert shown[-1] <= seen[-1]


def test_models_of_pictures_have_no_strip_and_of_one_frame_a_strip_of_one():
    assert Strip.of_model(None) is None
    assert Strip.of_model(1, stride=3) == Strip(1, 3)
