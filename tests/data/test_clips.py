"""Videos in their true formats, written here, against what was encoded or another decoder."""

import gc
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageSequence

from finelens.data.clip_facts import probe_clip
from finelens.data.clips import read_clip
from finelens.data.sampling import Sampling
from finelens.data.video_file import open_video
from finelens.data.video_frame import to_picture
from finelens.errors import DataError

RATE = 10


def moving(num_frames=20, height=48, width=64):
    """Return frames that drift and change colour, uint8 (T, H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    frames = [
        np.stack([(x * 3 + t * 9) % 256, (y * 4 + t * 5) % 256, np.full_like(x, t * 12)], axis=-1)
        for t in range(num_frames)
    ]
    return np.array(frames).astype(np.uint8)


def smooth(num_frames=20, height=48, width=64):
    """Return at most 22 frames that lossy codecs keep well: a slope, brighter every frame."""
    slope = np.linspace(20, 120, width)[None, :, None] + np.zeros((height, 1, 3))
    return np.array([slope + 6 * t for t in range(num_frames)]).round().astype(np.uint8)


def write(path, frames, codec, pix_fmt, *, times=None, options=None, flags=None):
    with av.open(str(path), "w", options=flags or {}) as container:
        stream = container.add_stream(codec, rate=25 if codec == "mpeg1video" else RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for n, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                pixels, format={3: "rgb24", 4: "rgba"}[pixels.shape[2]]
            )
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[n]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path, fraction):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * fraction)])
    return path


LOSSLESS = [
    ("a.avi", "ffv1", "bgr0"),
    ("a.mkv", "ffv1", "bgr0"),
    ("a.avi", "rawvideo", "bgr24"),
    ("a.mov", "png", "rgb24"),
    ("a.mov", "qtrle", "rgb24"),
]
LOSSY = [
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.mp4", "mpeg4", "yuv420p"),
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mpg", "mpeg1video", "yuv420p"),
    ("a.webm", "libvpx", "yuv420p"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("a.mkv", "libx264", "yuv422p10le"),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSLESS)
@pytest.mark.parametrize("shape", [(48, 64), (37, 51)])
@pytest.mark.parametrize(
    "sampling", [Sampling(20), Sampling(3), Sampling(25), Sampling(4, 3), Sampling(9, 7)]
)
def test_lossless_codecs_give_the_very_frames(tmp_path, name, codec, pix_fmt, shape, sampling):
    frames = moving(20, *shape)
    clip = read_clip(str(write(tmp_path / name, frames, codec, pix_fmt)), sampling)
    assert clip.note is None
    assert np.array_equal(clip.frames_THWC, frames[sampling.indices(20)])


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSY)
@pytest.mark.parametrize("sampling", [Sampling(20), Sampling(7), Sampling(4, 3)])
def test_lossy_codecs_give_the_right_frames(tmp_path, name, codec, pix_fmt, sampling):
    frames = smooth()
    path = write(tmp_path / name, frames, codec, pix_fmt, options={"b": "2000000"})
    clip = read_clip(str(path), sampling)
    assert clip.note is None
    # neighbouring frames are 6 apart
    distance = clip.frames_THWC.astype(float) - frames[sampling.indices(20)]
    assert np.abs(distance.mean(axis=(1, 2, 3))).max() < 2.5


def test_reordered_frames_come_as_shown(tmp_path):
    path = write(
        tmp_path / "a.mp4", smooth(22), "libx264", "yuv420p", options={"bf": "3", "g": "8"}
    )
    clip = read_clip(str(path), Sampling(22))
    assert (np.diff(clip.frames_THWC.mean(axis=(1, 2, 3))) > 0).all()


def test_gif_agrees_with_pillow_through_disposal_transparency_and_loops(tmp_path):
    frames = [Image.fromarray(frame).quantize(32) for frame in moving(6)]
    frames[0].save(tmp_path / "plain.gif", save_all=True, append_images=frames[1:], loop=3)
    pieces = []
    for n in range(6):
        piece = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        piece.paste((250, 40 * n, 10, 255), (5 * n, 4, 5 * n + 9, 20))
        pieces.append(piece)
    for disposal in (1, 2):
        pieces[0].save(
            tmp_path / f"{disposal}.gif", save_all=True, append_images=pieces[1:],
            disposal=disposal, duration=[40, 90, 200, 60, 500, 30], loop=0,
        )  # fmt: skip
    for name in ("plain.gif", "1.gif", "2.gif"):
        with Image.open(tmp_path / name) as image:
            expected = []
            for frame in ImageSequence.Iterator(image):
                white = Image.new("RGBA", image.size, "white")
                expected.append(np.array(Image.alpha_composite(white, frame.convert("RGBA"))))
        clip = read_clip(str(tmp_path / name), Sampling(len(expected)))
        assert clip.note is None
        assert np.array_equal(clip.frames_THWC, np.array(expected)[..., :3])


MATRICES = {
    "upright": (1, 0, 0, 1),
    "right": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "transposed": (0, 1, 1, 0),
}
TURNED = {
    "upright": lambda frames: frames,
    "right": lambda frames: np.rot90(frames, -1, axes=(1, 2)),
    "upside down": lambda frames: np.rot90(frames, 2, axes=(1, 2)),
    "left": lambda frames: np.rot90(frames, 1, axes=(1, 2)),
    "mirrored": lambda frames: frames[:, :, ::-1],
    "transposed": lambda frames: frames.swapaxes(1, 2),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("fraction", [1, 4])
def test_rotation_flags_are_applied(tmp_path, name, fraction):
    frames = moving(8)
    path = write(tmp_path / "a.mov", frames, "png", "rgb24")
    turn_header(path, MATRICES[name])
    clip = read_clip(str(path), Sampling(8 // fraction))
    expected = TURNED[name](frames[Sampling(8 // fraction).indices(8)])
    assert np.array_equal(clip.frames_THWC, expected)
    facts = probe_clip(str(path))
    assert (facts.height, facts.width) == expected.shape[1:3]


def turn_header(path, matrix):
    """Write a matrix into the track header as phones do (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def test_transparency_lies_on_white(tmp_path):
    frames = moving(6)
    alpha = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (6, 48, 64, 1))
    path = write(tmp_path / "a.mov", np.concatenate([frames, alpha], axis=-1), "png", "rgba")
    weight = alpha / 255
    expected = np.rint(frames * weight + 255 * (1 - weight))
    got = read_clip(str(path), Sampling(6)).frames_THWC
    assert np.abs(got - expected).max() <= 1
    half = np.concatenate([smooth(6), np.full((6, 48, 64, 1), 128, np.uint8)], axis=-1)
    path = write(tmp_path / "a.webm", half, "libvpx-vp9", "yuva420p", options={"b": "2000000"})
    got = read_clip(str(path), Sampling(6)).frames_THWC.mean(axis=(1, 2, 3))
    assert np.abs(got - (half[..., :3].mean(axis=(1, 2, 3)) + 255) / 2).max() < 4


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le"])
def test_grey_of_eight_and_ten_bits_becomes_rgb(tmp_path, pix_fmt):
    grey = np.repeat(moving(4)[..., :1], 3, axis=-1)
    path = write(tmp_path / "a.mkv", grey, "ffv1", pix_fmt)
    got = read_clip(str(path), Sampling(4)).frames_THWC
    assert np.abs(got.astype(int) - grey).max() <= 2


def test_a_variable_frame_rate_is_sampled_by_frames_and_ranges_by_times(tmp_path):
    frames = moving(8)
    times = [0, 0.1, 0.2, 0.3, 0.4, 2.0, 2.1, 5.0]
    path = str(write(tmp_path / "a.mkv", frames, "ffv1", "bgr0", times=times))
    assert np.array_equal(read_clip(path, Sampling(4)).frames_THWC, frames[[1, 3, 5, 7]])
    ranged = read_clip(path, Sampling(3), start_s=0.2, end_s=2.1)
    assert np.array_equal(ranged.frames_THWC, frames[[2, 4, 5]])
    # nothing begins between 0.5 and 1.5 s: a player shows frame 4
    shown = read_clip(path, Sampling(2), start_s=0.5, end_s=1.5)
    assert np.array_equal(shown.frames_THWC, frames[[4, 4]])


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [*LOSSLESS, *LOSSY])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 0.5), (0.3, 0.7), (0.6, None), (None, 0.4)])
def test_time_ranges_agree_with_a_count_of_frames(tmp_path, name, codec, pix_fmt, start_s, end_s):
    rate = 25 if codec == "mpeg1video" else RATE
    frames = smooth(22)
    path = write(
        tmp_path / name, frames, codec, pix_fmt, options={"b": "2000000", "g": "6", "bf": "0"}
    )
    first = round((start_s or 0) * rate + 0.499)
    last = 22 if end_s is None else min(22, round(end_s * rate + 0.499))
    got = read_clip(str(path), Sampling(last - first), start_s=start_s, end_s=end_s)
    distance = got.frames_THWC.astype(float) - frames[first:last]
    assert np.abs(distance.mean(axis=(1, 2, 3))).max() < 2.5


def test_ranges_that_do_not_fit_are_refused(tmp_path):
    path = str(write(tmp_path / "a.mp4", smooth(), "libx264", "yuv420p"))
    with pytest.raises(DataError, match=r"a.mp4: start_s 9 lies after the clip's end, 2.00 s"):
        read_clip(path, Sampling(2), start_s=9, end_s=10)
    with pytest.raises(DataError, match=r"a.mp4: start_s 3 and end_s 2 are no time range"):
        read_clip(path, Sampling(2), start_s=3, end_s=2)
    with pytest.raises(DataError, match="no time range"):
        read_clip(path, Sampling(2), start_s=float("nan"))


CUT = [
    ("a.avi", "mjpeg", "yuvj420p", {}),
    ("a.avi", "rawvideo", "bgr24", {}),
    ("a.mpg", "mpeg1video", "yuv420p", {}),
    ("a.webm", "libvpx", "yuv420p", {}),
    ("a.mkv", "ffv1", "bgr0", {}),
    ("a.mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "flags"), CUT)
@pytest.mark.parametrize("sampling", [Sampling(4), Sampling(40), Sampling(3, 2)])
def test_a_cut_file_gives_its_frames_and_says_so(tmp_path, name, codec, pix_fmt, flags, sampling):
    # noise: half the bytes are about half the frames
    noise = np.random.default_rng(0).integers(0, 60, (20, 48, 64, 3), dtype=np.uint8)
    frames = smooth() + noise
    path = cut(write(tmp_path / name, frames, codec, pix_fmt, flags=flags), 0.5)
    clip = read_clip(str(path), sampling)
    assert clip.frames_THWC.shape == (sampling.frames, 48, 64, 3)
    assert clip.note is not None
    assert clip.note.startswith("cut off in the middle: ")
    facts = probe_clip(str(path))
    assert 1 < facts.num_frames < 18
    assert facts.note is not None
    assert facts.note.startswith(f"cut off in the middle: {facts.num_frames} frames could be")
    # the frames that are left are spread over, not those that once were
    brightness = clip.frames_THWC[0].mean() - frames[sampling.indices(facts.num_frames)[0]].mean()
    assert abs(brightness) < 2.5


def test_a_cut_gif_says_so(tmp_path):
    frames = [Image.fromarray(frame) for frame in moving(20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_clip(str(tmp_path / "a.gif"), Sampling(4)).note is None
    clip = read_clip(str(cut(tmp_path / "a.gif", 0.6)), Sampling(4))
    assert clip.note is not None
    assert clip.note.startswith("cut off in the middle: ")
    assert 2 < probe_clip(str(tmp_path / "a.gif")).num_frames < 18


def test_reading_leaves_nothing_to_the_garbage_collector(tmp_path):
    whole = write(tmp_path / "a.mp4", smooth(), "libx264", "yuv420p")
    turned = write(tmp_path / "turned.mp4", smooth(), "libx264", "yuv420p")
    turn_header(turned, MATRICES["right"])
    broken = cut(write(tmp_path / "b.avi", smooth(), "mjpeg", "yuvj420p"), 0.5)
    (tmp_path / "c.avi").write_bytes(b"no video")
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for path in (whole, turned, broken):
            read_clip(str(path), Sampling(4))
            probe_clip(str(path))
        with pytest.raises(DataError):
            probe_clip(str(tmp_path / "c.avi"))
        gc.collect()
        left = [type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("av")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    # a frame left over holds megabytes, and a decoder threads that a forked process has not
    assert left == []


def test_converting_a_frame_starts_no_thread(tmp_path):
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads of libraries cannot be counted here")
    path = write(tmp_path / "a.mp4", smooth(2, 720, 1280), "libx264", "yuv420p")
    with open_video(str(path)) as video:
        _, frame = next(video.frames())
        before, reformatter = len([*tasks.iterdir()]), VideoReformatter()
        to_picture(frame, width=1280, height=720, reformatter=reformatter)
        # what converts is still there
        assert len([*tasks.iterdir()]) == before


def test_damage_in_the_middle_is_left_out_and_told(tmp_path):
    path = write(tmp_path / "a.avi", moving(), "png", "rgb24")
    content = bytearray(path.read_bytes())
    starts = [n for n in range(len(content)) if content.startswith(b"\x89PNG", n)]
    content[starts[7] + 12 : starts[7] + 24] = bytes(12)
    path.write_bytes(content)
    clip = read_clip(str(path), Sampling(20))
    assert clip.note == "damaged: 19 frames could be decoded, 1 packet could not"
    expected = np.delete(moving(), 7, axis=0)[[*range(19), 18]]
    assert np.array_equal(clip.frames_THWC, expected)


def test_frames_that_show_errors_are_counted_and_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 60, (20, 48, 64, 3), dtype=np.uint8)
    path = write(tmp_path / "a.avi", smooth() + noise, "mpeg4", "yuv420p")
    assert read_clip(str(path), Sampling(20)).note is None
    content = bytearray(path.read_bytes())
    starts = [n for n in range(len(content)) if content.startswith(b"\0\0\1\xb6", n)]
    # within a frame: its end is guessed
    content[starts[13] + 12 : starts[13] + 40] = bytes(range(28))
    path.write_bytes(content)
    note = read_clip(str(path), Sampling(20)).note
    assert note is not None
    assert re.fullmatch(r"damaged: \d+ frames could be decoded, \d+ of them with errors", note)
    # the range before the damage is sound
    assert read_clip(str(path), Sampling(3), end_s=1.0).note is None


def test_the_frame_count_of_a_header_is_not_believed(tmp_path):
    path = write(tmp_path / "a.avi", moving(), "ffv1", "bgr0")
    content = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        place = content.index(tag) + offset
        assert struct.unpack_from("<I", content, place) == (20,)
        struct.pack_into("<I", content, place, 7)
    path.write_bytes(content)
    assert np.array_equal(read_clip(str(path), Sampling(20)).frames_THWC, moving())
    assert probe_clip(str(path)).num_frames == 20


def test_files_that_are_no_videos_are_told_apart(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.avi", "JPEG")
    with av.open(str(tmp_path / "sound.mov"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    write(tmp_path / "index.mp4", moving(), "mpeg4", "yuv420p")
    cut(tmp_path / "index.mp4", 0.6)
    (tmp_path / "good #1: 100%.mp4").write_bytes(
        write(tmp_path / "a.mp4", moving(), "mpeg4", "yuv420p").read_bytes()
    )
    reasons = {
        "empty.mp4": "the file is empty",
        "text.mp4": "not a video of a known kind",
        "list.mp4": "not a video of a known kind",
        "picture.avi": "not a video of a known kind",
        "sound.mov": "the file holds no video stream",
        "index.mp4": "cut off before its table of frames",
        "missing.mp4": "cannot be opened: No such file or directory",
    }
    for name, reason in reasons.items():
        for read in (lambda path: read_clip(path, Sampling(2)), probe_clip):
            with pytest.raises(DataError) as caught:
                read(str(tmp_path / name))
            assert str(caught.value).startswith(f"{tmp_path / name}: ")
            assert reason in str(caught.value)
            assert "\n" not in str(caught.value)
    assert probe_clip(str(tmp_path / "good #1: 100%.mp4")).num_frames == 20


def test_a_picture_given_as_a_clip_is_told(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: no video, but a picture by its name; give a"):
        read_clip(str(tmp_path / "a.png"), Sampling(2))
    # the content tells the kind
    write(tmp_path / "a.mp4", moving(), "mpeg4", "yuv420p").rename(tmp_path / "b.png")
    assert read_clip(str(tmp_path / "b.png"), Sampling(20)).frames_THWC.shape[0] == 20
    with pytest.raises(DataError, match="cannot be opened"):
        read_clip(str(tmp_path / "none.png"), Sampling(2))
