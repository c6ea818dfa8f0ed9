"""Pictures: encoded bytes of any kind become the RGB picture a person sees."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from finelens.data.clip_places import CLIP_EXTENSIONS
from finelens.errors import DataError

ImageArray = NDArray[np.uint8]
"""One picture, shape (H, W, 3), red first, 0 to 255."""

PICTURE_KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What is known of pictures, as Pillow names them."""

REDUCING_GAP = 2.0
"""How many times the side wanted a big JPEG is decoded with, at least, unless a recipe has another.

Pillow's ``Image.thumbnail`` has the same name and value for it.
"""

# what Pillow's decoders raise on damaged files
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    EOFError, MemoryError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
# libjpeg goes on after these and leaves the rest of the picture grey or torn
_JPEG_DAMAGE = ("remature end", "bad Huffman code", "bad arithmetic code", "found marker")
_VIDEOS = tuple(name for name in CLIP_EXTENSIONS if name != ".gif")
_JPEG_EXIF, _JPEG_SCAN = 0xE1, 0xDA
_HEAD_BYTES = 2**16  # where nearly every header ends
# libjpeg offers every eighth, and has fast code for these parts
_DIVISORS = (8, 4, 2)
_TIFF_PHOTOMETRIC, _TIFF_BITS = 262, 258


def read_image(path: str | Path, *, least_side: int | None = None) -> ImageArray:
    """Return a file's picture as ``decode_image`` does.

    Raises:
        DataError: If the file cannot be opened or decoded; the message begins with the path.
    """
    try:
        encoded = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path}: cannot be opened: {reason}") from error
    return decode_image(encoded, str(path), least_side=least_side)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return a picture file's height and width, pixels, as its header tells them.

    They are those of the file: a picture that its EXIF data turn has them the other way round.
    Nothing is decoded, so what follows the header may be damaged.

    Raises:
        DataError: If no header can be read; the message begins with the path.
        Image.DecompressionBombError: If it tells of more pixels than ``decode_image`` takes.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if _is_jpeg(head):
                # a large preview or colour profile may come first
                size = _jpeg_size(head) or _jpeg_size(head + file.read())
                if size is not None:
                    return size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_KINDS) as image:
                return image.height, image.width
    except _DECODER_ERRORS as error:
        raise DataError(f"{path}: not a picture, or its beginning is damaged") from error


def decode_image(encoded: bytes, name: str, *, least_side: int | None = None) -> ImageArray:
    """Return the picture a person sees in an encoded file, shape (H, W, 3), 0 to 255.

    The bytes alone tell the kind: JPEG, PNG, WebP, BMP, GIF or TIFF; of several frames or pages
    the first. EXIF orientation is applied. Grey and palette become RGB, CMYK and YCCK follow
    Adobe's inverted convention, transparency lies on white. Grey of 16 bits is divided by 257
    (of 12 bits by 16.06). Float and 32-bit grey is read as 0..1, 0..255 or 0..65535, whichever is
    the first to hold all its values, and otherwise stretched from its lowest to its highest;
    NaN and infinities are black. Colour profiles are not applied.

    A big JPEG may be had at a part of its size, in less time and memory: libjpeg makes it of the
    low frequencies alone. All of it is read nevertheless, and damage is found as at full size.

    Args:
        encoded: A whole file.
        name: What messages call it.
        least_side: Pixels, 1 or more: a JPEG comes at the smallest of 1, 1/2, 1/4 and 1/8 of its
            size (rounded up) whose shorter side has as many. None, and other kinds: full size.

    Raises:
        DataError: If the bytes are no picture, truncated or damaged, or hold more pixels than
            twice Pillow's ``Image.MAX_IMAGE_PIXELS``; the message is one line and begins with
            the name.
    """
    if not encoded:
        raise DataError(f"{name}: the file is empty")
    try:
        if _is_jpeg(encoded):
            picture = _decode_jpeg(encoded, least_side)
            return _decode_by_pillow(encoded) if picture is None else picture
        return _decode_by_pillow(encoded)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: too many pixels, it may be a decompression bomb") from error
    except UnidentifiedImageError as error:
        if _is_video_name(name):
            raise DataError(
                f"{name}: a video by its name, and pictures are wanted here; a model trained on "
                "clips takes it"
            ) from error
        raise DataError(
            f"{name}: not a picture, or its beginning is damaged; "
            f"known are {', '.join(PICTURE_KINDS)}"
        ) from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: the picture is truncated or damaged ({reason})") from error


def _is_jpeg(encoded: bytes) -> bool:
    return encoded.startswith(b"\xff\xd8\xff")


def _is_video_name(name: str) -> bool:
    """Return whether a file's name is that of a video; a GIF may be a picture."""
    return name.lower().endswith(_VIDEOS)


def _decode_jpeg(encoded: bytes, least_side: int | None) -> ImageArray | None:
    """Return a sound JPEG's picture, or None where only Pillow may know what to do."""
    try:
        told_height, told_width, colourspace, _ = simplejpeg.decode_jpeg_header(encoded)
        height, width = int(told_height), int(told_width)
        _check_pixels(height, width)
        is_cmyk = colourspace in {"CMYK", "YCCK"}
        mode = "CMYK" if is_cmyk else "RGB"
        divisor = _divisor(min(height, width), least_side)
        if divisor == 1:
            picture = simplejpeg.decode_jpeg(encoded, mode)
        else:
            # it takes the smallest of libjpeg's sizes that has as many pixels
            size = -(-height // divisor), -(-width // divisor)
            picture = simplejpeg.decode_jpeg(encoded, mode, min_height=size[0], min_width=size[1])
            assert picture.shape[:2] == size
    except ValueError as error:
        if any(words in str(error) for words in _JPEG_DAMAGE):
            raise
        return None
    return _upright(_without_black(picture) if is_cmyk else picture, _jpeg_orientation(encoded))


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Return height and width, or None where only Pillow may know what to do."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(encoded)
    except ValueError:
        return None
    _check_pixels(int(height), int(width))
    return int(height), int(width)


def _check_pixels(height: int, width: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > 2 * limit:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")


def _divisor(shorter_side: int, least_side: int | None) -> int:
    """Return what the sides of a JPEG are divided by, and rounded up."""
    if least_side is None:
        return 1
    return next((number for number in _DIVISORS if -(-shorter_side // number) >= least_side), 1)


def _without_black(inverted_HW4: NDArray[np.uint8]) -> ImageArray:
    inks_HW4 = inverted_HW4.astype(np.uint16)
    return ((inks_HW4[..., :3] * inks_HW4[..., 3:] + 127) // 255).astype(np.uint8)


def _decode_by_pillow(encoded: bytes) -> ImageArray:
    with Image.open(io.BytesIO(encoded), formats=PICTURE_KINDS) as image:
        image.load()
        picture = _as_rgb(image)
        try:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        except _DECODER_ERRORS:
            orientation = 1  # broken metadata of a sound picture
        return _upright(picture, orientation)


def _as_rgb(image: Image.Image) -> ImageArray:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _grey_as_rgb(_integer_grey(image))
    if image.mode in {"I", "F"}:
        return _grey_as_rgb(_measured_grey(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _integer_grey(image: Image.Image) -> NDArray[np.float64]:
    """Return grey of 9 to 16 bits, 0 to 255."""
    grey_HW = np.asarray(image).astype(np.float64)
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return grey_HW / 257
    num_bits = int(image.tag_v2.get(_TIFF_BITS, (16,))[0])
    grey_HW *= 255 / (2**num_bits - 1)
    # Pillow inverts "white is zero" up to 8 bits only
    return 255 - grey_HW if image.tag_v2.get(_TIFF_PHOTOMETRIC) == 0 else grey_HW


def _measured_grey(grey_HW: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return grey of unknown unit, 0 to 255."""
    finite = grey_HW[np.isfinite(grey_HW)]
    lowest, highest = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if lowest >= 0 and highest <= 65535:
        lowest, highest = 0.0, next(top for top in (1.0, 255.0, 65535.0) if highest <= top)
    known_HW = np.where(np.isfinite(grey_HW), grey_HW, lowest)
    return (known_HW - lowest) * (255 / ((highest - lowest) or 1.0))


def _grey_as_rgb(grey_HW: NDArray[np.float64]) -> ImageArray:
    return np.repeat(np.rint(grey_HW).astype(np.uint8)[..., None], 3, axis=2)


def _jpeg_orientation(encoded: bytes) -> int:
    """Return a JPEG's EXIF orientation, read from its segments without decoding it."""
    place = 2
    while place + 4 <= len(encoded) and encoded[place] == 0xFF and encoded[place + 1] != _JPEG_SCAN:
        if encoded[place + 1] == 0xFF:  # padding
            place += 1
            continue
        end = place + 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
        if encoded[place + 1] == _JPEG_EXIF and encoded.startswith(b"Exif\0\0", place + 4):
            return _exif_orientation(encoded[place + 10 : end])
        place = end
    return 1


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation of a TIFF-like EXIF block's first directory, 1 if it has none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", exif, place)
        for entry in range(num_entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, place + 2 + 12 * entry)
            if tag == ExifTags.Base.Orientation:
                return value
    except struct.error:
        return 1  # broken metadata of a sound picture
    return 1


def _upright(picture: ImageArray, orientation: int) -> ImageArray:
    """Return the picture turned and mirrored from an EXIF orientation; unknown ones are 1."""
    if orientation not in {2, 3, 4, 5, 6, 7, 8}:
        return picture
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        picture = picture[::-1]
    if orientation in {2, 3, 6, 7}:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)
