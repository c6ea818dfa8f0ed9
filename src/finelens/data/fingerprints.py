"""Fingerprints: what tells whether two files hold the same picture or clip, or nearly."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from finelens.data.images import decode_image
from finelens.errors import DataError

LOOK_BITS = 64
THUMBNAIL_SIDE = 8

_BATCH = 32
# of a big JPEG; with less, the rounding of its size changes hashes
_LEAST_SIDE = 512
_BANDS = 4
# how far apart, in one band's order, two pictures are still compared
_REACH = 256
_SCHEMA = {
    "content": pl.String(),
    "look": pl.UInt64(),
    "thumbnail": pl.Array(pl.UInt8(), 3 * THUMBNAIL_SIDE**2),
}


def difference_hash(image_HWC: NDArray[np.uint8]) -> int:
    """Return the picture's 64-bit difference hash (dHash; Krawetz 2013).

    The grey picture is resized to 8 rows of 9 pixels; a bit, row by row and the first highest,
    says whether a pixel is darker than the one to its right. Agrees with ``imagehash.dhash``.
    """
    grey = Image.fromarray(image_HWC).convert("L").resize((9, 8), Image.Resampling.LANCZOS)
    pixels = np.asarray(grey)
    return int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes(), "big")


@dataclass(frozen=True)
class Fingerprint:
    """What tells a picture or a clip from others.

    Attributes:
        content: Hexadecimal hash; the same for the same content.
        look: Difference hash, of a clip's middle frame.
        thumbnail: Squashed to 8 x 8 pixels, RGB in rows; of a clip frame by frame.
    """

    content: str
    look: int
    thumbnail: Sequence[int]


def fingerprint_clip(frames_THWC: NDArray[np.uint8], num_frames: int) -> Fingerprint:
    """Return the fingerprint of a clip.

    Its content is that of what is seen, whatever kind of file holds it.

    Args:
        frames_THWC: T of its frames, evenly spread.
        num_frames: How many it has.
    """
    content = hashlib.blake2b(f"{num_frames} {frames_THWC.shape}".encode(), digest_size=16)
    content.update(frames_THWC.tobytes())
    thumbnail = [level for frame_HWC in frames_THWC for level in _thumbnail(frame_HWC)]
    look = difference_hash(frames_THWC[len(frames_THWC) // 2])
    return Fingerprint(content.hexdigest(), look, thumbnail)


def take_fingerprints(
    paths: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """Return one row a file: ``content``, ``look`` and ``thumbnail``; nulls where it is unreadable.

    ``content`` is a hash of the bytes, ``look`` the difference hash, ``thumbnail`` the picture
    squashed to 8 x 8 pixels of RGB; both of big JPEGs as decoded with 512 pixels or more a side.
    Files are read and decoded once, in threads; ``progress`` is called with the number of files
    done since its last call.
    """
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    parts = [pl.DataFrame(schema=_SCHEMA)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for rows in threads.map(_take_batch, batches):
            parts.append(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))
            if progress is not None:
                progress(len(rows))
    return pl.concat(parts)


def near_pairs(
    look_N: NDArray[np.uint64],
    thumbnail_NP: NDArray[np.uint8],
    *,
    most_bits: int = 3,
    most_difference: float = 6.0,
) -> NDArray[np.int64]:
    """Return the pairs of pictures that look alike, indices (first < second), shape (M, 2).

    Alike are two whose difference hashes differ in few bits and whose thumbnails differ little.
    Hashes that differ in at most 3 of 64 bits agree in one of four bands of 16, so only pictures
    that share a band are compared; where more than 256 share one, each is compared with the
    256 next to it in the order of hashes.

    Args:
        look_N: Difference hashes.
        thumbnail_NP: Their thumbnails.
        most_bits: Largest number of differing bits, 0 to 3.
        most_difference: Largest mean absolute difference of thumbnails, in levels of 255.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    width = LOOK_BITS // _BANDS
    for band in range(_BANDS):
        value_N = (look_N >> np.uint64(band * width)) & np.uint64((1 << width) - 1)
        order_N = np.lexsort((look_N, value_N))
        for step in range(1, min(_REACH, len(order_N) - 1) + 1):
            pairs = np.stack([order_N[:-step], order_N[step:]], axis=1)
            pairs = pairs[value_N[pairs[:, 0]] == value_N[pairs[:, 1]]]
            if len(pairs) == 0:
                break
            pairs = pairs[_num_bits(look_N[pairs[:, 0]] ^ look_N[pairs[:, 1]]) <= most_bits]
            levels = thumbnail_NP[pairs].astype(np.int16)
            difference = np.abs(levels[:, 0] - levels[:, 1]).mean(axis=1)
            found.append(np.sort(pairs[difference <= most_difference], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _num_bits(value_M: NDArray[np.uint64]) -> NDArray[np.int64]:
    octets = value_M.view(np.uint8).reshape(-1, LOOK_BITS // 8)
    return np.unpackbits(octets, axis=1).sum(axis=1, dtype=np.int64)


def _take_batch(paths: Sequence[str]) -> list[tuple[str | None, int | None, list[int] | None]]:
    return [_take(path) for path in paths]


def _take(path: str) -> tuple[str | None, int | None, list[int] | None]:
    try:
        encoded = Path(path).read_bytes()
        image_HWC = decode_image(encoded, path, least_side=_LEAST_SIDE)
    except (OSError, DataError):
        return None, None, None
    content = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    return content, difference_hash(image_HWC), _thumbnail(image_HWC)


def _thumbnail(image_HWC: NDArray[np.uint8]) -> list[int]:
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    thumbnail = Image.fromarray(image_HWC).resize(size, Image.Resampling.BOX)
    return np.asarray(thumbnail).ravel().tolist()
