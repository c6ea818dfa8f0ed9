import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from finelens.data.images import PICTURE_KINDS, decode_image, picture_size, read_image
from finelens.errors import DataError

RNG = np.random.default_rng(0)
ORIENTATION = 0x0112


def smooth(height=48, width=64):
    coarse = RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def by_pillow(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def largest_difference(one, other):
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int)).max()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_agrees_with_pillow(subsampling, progressive):
    data = encoded(smooth(47, 61), "JPEG", subsampling=subsampling, progressive=progressive)
    picture = decode_image(data, "a.jpg")
    assert picture.dtype == np.uint8
    assert largest_difference(picture, by_pillow(data)) <= 2


@pytest.mark.parametrize(
    ("least_side", "shape"),
    [
        (None, (99, 160)), (100, (99, 160)), (51, (99, 160)), (50, (50, 80)), (26, (50, 80)),
        (25, (25, 40)), (14, (25, 40)), (13, (13, 20)), (1, (13, 20)),
    ],
)  # fmt: skip
def test_jpeg_is_decoded_at_the_smallest_part_that_has_the_least_side(least_side, shape):
    for turned in (False, True):
        image = smooth(160, 99) if turned else smooth(99, 160)
        picture = decode_image(encoded(image, "JPEG"), "a", least_side=least_side)
        assert picture.shape == (*(shape[::-1] if turned else shape), 3)


def test_parts_of_small_jpegs_have_the_least_side_and_are_rounded_up():
    for height, width in [(h, w) for h in range(1, 35, 3) for w in (1, 2, 8, 9, 17, 40)]:
        data = encoded(smooth(height, width), "JPEG")
        for least_side in (1, 2, 4, 5, 9):
            picture = decode_image(data, "a", least_side=least_side)
            allowed = [
                size
                for number in (1, 2, 4, 8)
                if min(size := (-(-height // number), -(-width // number))) >= least_side
            ]
            assert picture.shape[:2] == (allowed or [(height, width)])[-1]


@pytest.mark.parametrize("number", [2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_parts_of_a_jpeg_agree_with_pillow(number, mode, progressive):
    options = {"quality": 90, "progressive": progressive}
    data = encoded(Image.fromarray(smooth(203, 301)).convert(mode), "JPEG", **options)
    picture = decode_image(data, "a.jpg", least_side=-(-203 // number))
    with Image.open(io.BytesIO(data)) as image:
        # it has the same parts, and asks for a size that they do not fall below
        image.draft(None, (301 // number, 203 // number))
        expected = np.array(image.convert("RGB"))
    assert largest_difference(picture, expected) <= 2


def test_other_kinds_have_full_size_whatever_is_the_least_side():
    image = smooth()
    for kind in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(decode_image(encoded(image, kind), "a", least_side=1), image)


def test_grey_jpeg_becomes_rgb():
    data = encoded(Image.fromarray(smooth()).convert("L"), "JPEG")
    assert largest_difference(decode_image(data, "a.jpg"), by_pillow(data)) <= 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
    ],
)
def test_lossless_kinds_give_the_very_pixels(kind, options):
    image = smooth()
    assert np.array_equal(decode_image(encoded(image, kind, **options), "a"), image)


def test_first_frame_of_gif_and_first_page_of_tiff_are_read():
    red, blue = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")
    for kind in ("GIF", "TIFF"):
        data = encoded(red, kind, save_all=True, append_images=[blue])
        assert (decode_image(data, "a") == (255, 0, 0)).all()


def test_kind_is_judged_by_content_not_by_name(tmp_path):
    image = smooth()
    (tmp_path / "a.jpg").write_bytes(encoded(image, "PNG"))
    assert np.array_equal(read_image(tmp_path / "a.jpg"), image)


def test_bilevel_and_grey_and_palette_become_rgb():
    colours = Image.fromarray(smooth())
    for mode in ("1", "L", "P"):
        image = colours.convert(mode)
        expected = np.array(image.convert("RGB"))
        assert np.array_equal(decode_image(encoded(image, "PNG"), "a"), expected)


def test_alpha_lies_on_white():
    colour = np.zeros((2, 2, 4), dtype=np.uint8)
    colour[..., 0], colour[..., 3] = 200, [[255, 128], [0, 51]]
    alpha = colour[..., 3:] / 255
    expected = colour[..., :3] * alpha + 255 * (1 - alpha)
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        picture = decode_image(encoded(colour, kind, **options), "a")
        assert largest_difference(picture, expected) <= 1


def test_grey_with_alpha_lies_on_white():
    image = Image.fromarray(np.array([[[0, 255], [0, 0]]], dtype=np.uint8), "LA")
    assert decode_image(encoded(image, "PNG"), "a")[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_transparent_palette_entry_is_white():
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    for kind in ("PNG", "GIF"):
        picture = decode_image(encoded(image, kind, transparency=1), "a")
        assert picture[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_transparent_colour_of_rgb_png_is_white():
    image = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)
    picture = decode_image(encoded(image, "PNG", transparency=(4, 5, 6)), "a")
    assert picture[0].tolist() == [[1, 2, 3], [255, 255, 255]]


def test_cmyk_jpeg_agrees_with_pillow():
    data = encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    picture = decode_image(data, "a.jpg")
    assert largest_difference(picture, by_pillow(data)) <= 2


def test_ycck_jpeg_agrees_with_pillow_and_with_its_colours():
    planes = np.full((16, 16, 4), 255, dtype=np.uint8)  # no black
    inks = Image.new("RGB", (16, 16), (255 - 230, 255 - 40, 255 - 30))
    planes[..., :3] = np.array(inks.convert("YCbCr"))
    # Pillow writes the four planes inverted; Adobe's transform 2 says they are YCCK
    data = bytearray(encoded(Image.fromarray(255 - planes, "CMYK"), "JPEG", quality=100))
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    data[place] = 2
    picture = decode_image(bytes(data), "a.jpg")
    assert largest_difference(picture, by_pillow(bytes(data))) <= 2
    assert largest_difference(picture, np.full((16, 16, 3), (230, 40, 30))) <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_by_257(kind):
    grey = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    picture = decode_image(encoded(Image.fromarray(grey), kind), "a")
    assert picture[0, :, 0].tolist() == np.rint(grey[0] / 257).tolist()
    assert (picture == picture[..., :1]).all()


def tiff_of_grey(values, *, bits, photometric, byte_order="<"):
    """Write a single-strip TIFF by hand: Pillow writes no big-endian or white-is-zero ones."""
    height, width = values.shape
    strip = values.astype(f"{byte_order}u2").tobytes()
    tags = [
        (256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8),
        (277, 1), (278, height), (279, len(strip)),
    ]  # fmt: skip
    head = b"II*\0" if byte_order == "<" else b"MM\0*"
    entries = b"".join(
        struct.pack(f"{byte_order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags
    )
    directory = struct.pack(f"{byte_order}H", len(tags)) + entries + b"\0\0\0\0"
    return head + struct.pack(f"{byte_order}I", 8 + len(strip)) + strip + directory


def test_16_bit_tiff_of_either_byte_order_is_scaled():
    grey = np.array([[0, 257, 25700, 65535]])
    for byte_order in "<>":
        data = tiff_of_grey(grey, bits=16, photometric=1, byte_order=byte_order)
        assert decode_image(data, "a")[0, :, 0].tolist() == [0, 1, 100, 255]


def test_16_bit_tiff_with_white_as_zero_is_inverted():
    data = tiff_of_grey(np.array([[0, 25700, 65535]]), bits=16, photometric=0)
    assert decode_image(data, "a")[0, :, 0].tolist() == [255, 155, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 200.0], [0, 100, 200]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, 5e5, 1e6], [0, 128, 255]),
        ([np.nan, np.inf, 1.0], [0, 0, 255]),
        ([-3.0, -3.0, -3.0], [0, 0, 0]),
        ([-1.0, np.nan, 1.0], [0, 0, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
    ],
)
def test_float_tiff_is_scaled_to_what_it_seems_to_hold(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert decode_image(encoded(image, "TIFF"), "a")[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_exif_orientation_is_applied(orientation, kind, options):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[ORIENTATION] = orientation
    image = smooth(40, 72)
    data = encoded(image, kind, exif=exif, **options)
    with Image.open(io.BytesIO(data)) as opened:
        turned = ImageOps.exif_transpose(opened)
    picture = decode_image(data, "a")
    assert picture.shape == ((72, 40, 3) if orientation >= 5 else (40, 72, 3))
    assert largest_difference(picture, np.array(turned)) <= 2
    assert picture.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_a_part(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = smooth(80, 144)
    part = decode_image(encoded(image, "JPEG"), "a", least_side=40)
    turned = decode_image(encoded(image, "JPEG", exif=exif), "a", least_side=40)
    upright = Image.fromarray(part)
    upright.getexif()[ORIENTATION] = orientation
    assert np.array_equal(turned, np.array(ImageOps.exif_transpose(upright)))
    assert turned.flags.c_contiguous


def test_exif_of_big_endian_byte_order_is_read():
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert decode_image(encoded(smooth(40, 72), "JPEG", exif=exif), "a").shape == (72, 40, 3)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0junk, not TIFF at all"]
)
def test_broken_exif_does_not_spoil_a_picture(exif):
    data = encoded(smooth(), "JPEG", exif=exif)
    assert decode_image(data, "a.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_truncated_jpeg_is_an_error_wherever_it_ends(mode):
    data = encoded(Image.fromarray(smooth()).convert(mode), "JPEG")
    for length in range(3, len(data) - 2, 41):
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(DataError, match=r"^a\.jpg: .*(damaged|truncated)"):
                decode_image(data[:length] + end, "a.jpg")


def damaged(data, seed):
    """Return a JPEG that is cut, or has bytes flipped, changed or left out after its header."""
    rng = np.random.default_rng(seed)
    scan = data.index(b"\xff\xda") + 14
    place = int(rng.integers(scan, len(data) - 2))
    if seed % 4 == 0:
        return data[:place]
    if seed % 4 == 1:
        return data[:place] + data[place + int(rng.integers(1, 60)) :]
    content = bytearray(data)
    for each in rng.integers(scan, len(data) - 2, 3):
        content[each] = rng.integers(256) if seed % 4 == 2 else content[each] ^ 8
    return bytes(content)


def outcome(data, least_side):
    try:
        return decode_image(data, "a", least_side=least_side).ndim
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{"quality": 90}, {"progressive": True}, {"restart_marker_blocks": 4, "subsampling": 0}],
)
def test_damage_of_a_jpeg_is_told_alike_at_every_part(mode, options):
    noisy = smooth(160, 200) // 2 + RNG.integers(0, 128, (160, 200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noisy).convert(mode), "JPEG", **options)
    cuts = [data[: len(data) // 2], data[: len(data) * 9 // 10], data[:-2]]
    full = []
    for case in [data, *cuts, *(damaged(data, seed) for seed in range(40))]:
        full.append(outcome(case, None))
        assert [outcome(case, least_side) for least_side in (80, 40, 1)] == [full[-1]] * 3
    assert full[0] == 3
    assert all("truncated or damaged" in str(told) for told in full[1:4])


@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_truncated_file_is_an_error(kind, share):
    data = encoded(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8), kind)
    with pytest.raises(DataError, match=r"^a: .*damaged"):
        decode_image(data[: int(share * len(data))], "a")


def test_bytes_after_the_end_and_between_segments_of_jpeg_are_forgiven():
    data = encoded(smooth(), "JPEG")
    place = data.index(b"\xff\xdb")
    for odd in (data + b"appended", data[:place] + b"\0\0\0" + data[place:]):
        assert largest_difference(decode_image(odd, "a.jpg"), by_pillow(data)) <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_give_a_picture_or_a_one_line_error(kind):
    data = encoded(smooth(24, 24), kind)
    rng = np.random.default_rng(1)
    outcomes = set()
    for _ in range(150):
        damaged = np.frombuffer(data, dtype=np.uint8).copy()
        places = rng.integers(len(damaged), size=rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            picture = decode_image(damaged.tobytes(), "a")
        except DataError as error:
            assert "\n" not in str(error)
            outcomes.add("error")
        else:
            assert picture.ndim == 3
            outcomes.add("picture")
    assert "error" in outcomes


def test_file_that_is_no_picture_is_named_with_the_known_kinds(tmp_path):
    for content in (b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\xff\xd8"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.jpg: not a picture.*JPEG, PNG.*TIFF$"):
            read_image(tmp_path / "a.jpg")


def test_empty_missing_and_folder_paths_are_told_apart(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty\.jpg: the file is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(DataError, match=r"none\.jpg: cannot be opened: No such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="cannot be opened: Is a directory"):
        read_image(tmp_path)
    with pytest.raises(DataError, match="cannot be opened"):
        read_image("a\0b.jpg")


def png_chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def test_decompression_bombs_are_errors(tmp_path):
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + pixels + png_chunk(b"IEND", b"")
    jpeg = bytearray(encoded(smooth(), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 30000, 30000)
    for data, least_side in [(png, None), (bytes(jpeg), None), (bytes(jpeg), 1)]:
        with pytest.raises(DataError, match="a: too many pixels, it may be a decompression bomb"):
            decode_image(data, "a", least_side=least_side)
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(Image.DecompressionBombError):
            picture_size(tmp_path / "a")


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_the_size_is_told_by_the_header_alone(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 90)
    # a TIFF's directory lies at its end, and a WebP tells how long it is
    whole = encoded(smooth(20, 120), kind)
    (tmp_path / "a").write_bytes(
        whole if kind in {"TIFF", "WEBP"} else whole[: len(whole) * 3 // 4]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert picture_size(tmp_path / "a") == (20, 120)


def test_the_size_is_found_behind_a_long_beginning(tmp_path):
    data = encoded(smooth(20, 120), "JPEG", icc_profile=bytes(200_000))
    assert data.index(b"\xff\xda") > 200_000
    (tmp_path / "a.jpg").write_bytes(data)
    assert picture_size(tmp_path / "a.jpg") == (20, 120)


def test_what_is_no_known_picture_has_no_size(tmp_path):
    for data in (b"", b"no picture", b"\xff\xd8\xff and no more", encoded(smooth(), "PPM")):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(DataError, match=r"a: not a picture, or its beginning is damaged$"):
            picture_size(tmp_path / "a")


@pytest.mark.parametrize(("name", "is_told"), [("a.MP4", True), ("a.gif", False), ("mp4", False)])
def test_a_video_is_told_by_its_name(name, is_told):
    with pytest.raises(DataError) as caught:
        decode_image(b"\0\0\0\x20ftypisom and so on", name)
    assert str(caught.value).startswith(f"{name}: ")
    assert ("a video by its name" in str(caught.value)) == is_told
