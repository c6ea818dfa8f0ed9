import io

import av
import numpy as np
import pytest
from PIL import Image

from finelens.web.file_kind import HEAD_BYTES, file_kind

VIDEOS = {
    "mp4": ("mp4", "mpeg4"), "mov": ("mov", "mpeg4"), "mkv": ("matroska", "mpeg4"),
    "avi": ("avi", "mjpeg"), "mpg": ("mpeg", "mpeg1video"), "ts": ("mpegts", "mpeg2video"),
    "flv": ("flv", "flv1"), "wmv": ("asf", "wmv2"), "m1v": ("mpeg1video", "mpeg1video"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_what_pillow_writes_is_a_picture(kind, picture_bytes):
    assert file_kind(picture_bytes(0, kind)[:HEAD_BYTES]) == "picture"


def test_a_big_endian_tiff_is_a_picture_and_a_gif_may_be_either(picture_bytes):
    assert file_kind(b"MM\0*\0\0\0\x08") == "picture"
    assert file_kind(picture_bytes(0, "GIF")) == "gif"


@pytest.mark.parametrize("name", VIDEOS)
def test_what_ffmpeg_writes_is_a_clip(name):
    container_format, codec = VIDEOS[name]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 32, 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        frame_HWC = np.zeros((32, 32, 3), np.uint8)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode(None))
    assert file_kind(buffer.getvalue()[:HEAD_BYTES]) == "clip"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"G",
        b"hello, I am text",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
        b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"#EXTM3U\nhttp://127.0.0.1/",
        b"G" + bytes(187) + b"H" + bytes(187),
    ],
)
def test_all_else_is_unknown(head):
    assert file_kind(head) == "unknown"


def test_the_name_of_a_kind_is_not_asked():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    assert file_kind(b"x" + buffer.getvalue()) == "unknown"
