"""The share of a picture that a model sees: what its preprocessing cuts away, in words."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from finelens.data.media import Medium
from finelens.data.preprocessing import Preprocessing

ENOUGH = 0.8
"""From this share of the area on nothing is said."""


def seen_share(preprocessing: Preprocessing, height: int, width: int) -> float:
    """Return the share of a picture's area that its evaluation view shows, in (0, 1]."""
    box = preprocessing.box(height, width)
    seen_width = min(box.right, width) - max(box.left, 0)
    seen_height = min(box.bottom, height) - max(box.top, 0)
    return seen_width * seen_height / (height * width)


def unseen_note(
    preprocessing: Preprocessing, sizes: Sequence[tuple[int, int]], *, media: Medium
) -> str | None:
    """Return the sentence that a good part of pictures is not seen, and the mend, or None.

    Args:
        preprocessing: Of the model.
        sizes: Heights and widths of pictures, or of clips' frames, pixels; may be empty.
        media: What they are.
    """
    if not sizes:
        return None
    share = median(seen_share(preprocessing, *size) for size in sizes)
    if share >= ENOUGH:
        return None
    one = "picture" if media == "pictures" else "frame"
    return (
        f"seen: the middle {share:.0%} of a {one} (input.resize: {preprocessing.resize}, "
        f"input.crop_fraction: {preprocessing.crop_fraction:g}); all of it: "
        "--set input.resize=squash, or pad"
    )
