"""The place of a clip: the text a manifest keeps for it, and its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass

CLIP_EXTENSIONS = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""What counts as a video, in lower case; the case on disk does not matter."""

_ELEMENT = re.compile(r"(?P<path>.+\.np[yz])#(?:(?P<member>.+)/)?(?P<element>\d+)", re.IGNORECASE)
_FRAMES = re.compile(r"(?P<path>.+)#(?P<first>\d+)-(?P<last>\d+)")


@dataclass(frozen=True)
class ClipPlace:
    """Where a clip lies: a video, a folder of frames or one element of an array file.

    Attributes:
        path: The video file, the folder, or the ``.npy`` or ``.npz`` file.
        element: Row of the array, from 0; None for videos and folders.
        first: Number in the file name of the clip's first frame; None takes a folder's first.
        last: Number in the file name of the clip's last frame, itself included; None takes a
            folder's last.
        member: Name of the array in an ``.npz`` file; None takes the only one that holds clips.
    """

    path: str
    element: int | None = None
    first: int | None = None
    last: int | None = None
    member: str | None = None

    def __str__(self) -> str:
        """Return the text that ``parse_place`` reads."""
        if self.element is not None:
            member = "" if self.member is None else f"{self.member}/"
            return f"{self.path}#{member}{self.element}"
        if self.first is not None and self.last is not None:
            return f"{self.path}#{self.first}-{self.last}"
        return self.path


def parse_place(text: str) -> ClipPlace:
    """Return the parts of a place.

    ``FILE.npy#17`` and ``FILE.npz#clips/17`` are elements of arrays, ``FOLDER#1-17`` the frames
    1 to 17 of a folder by the numbers in their file names, anything else is a path.
    """
    element = _ELEMENT.fullmatch(text)
    if element is not None:
        return ClipPlace(element["path"], int(element["element"]), member=element["member"])
    frames = _FRAMES.fullmatch(text)
    if frames is not None:
        return ClipPlace(frames["path"], first=int(frames["first"]), last=int(frames["last"]))
    return ClipPlace(text)


def is_clip(name: str) -> bool:
    """Return whether a file is a video by its name: a known extension, and not hidden."""
    return not name.startswith(".") and name.lower().endswith(CLIP_EXTENSIONS)
