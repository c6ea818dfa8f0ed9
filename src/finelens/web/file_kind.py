"""The kind of a file, judged by its first bytes; neither its name nor its sender is asked."""

from __future__ import annotations

from typing import Literal

FileKind = Literal["picture", "clip", "gif", "unknown"]

HEAD_BYTES = 512
"""How much of a file's beginning is looked at."""

_PICTURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF
)
_CLIPS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"0&\xb2u\x8ef\xcf\x11",  # ASF
    b"FLV\x01",
)
_MOV_PARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_PICTURE_BRANDS = (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis")
_PACKETS = ((0, 188), (4, 192))  # MPEG transport stream: where the first lies, bytes of each
_PACKET_START = b"G"


def file_kind(head: bytes) -> FileKind:
    """Return what a file is by its first bytes; a GIF may be either.

    Args:
        head: The first ``HEAD_BYTES``, fewer where the file is shorter.
    """
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "unknown")
    if head.startswith(_PICTURES):
        return "picture"
    return "clip" if _is_clip(head) else "unknown"


def _is_clip(head: bytes) -> bool:
    if head.startswith(_CLIPS):
        return True
    if head[4:8] in _MOV_PARTS:
        # pictures of phones lie in the same container
        return not (head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS)
    return any(
        len(starts := head[first::num_bytes]) > 1 and set(starts) == set(_PACKET_START)
        for first, num_bytes in _PACKETS
    )


_RIFF: dict[bytes, FileKind] = {b"WEBP": "picture", b"AVI ": "clip"}
