"""The contact sheet: a picture or clip under many draws, beside what is seen when scoring."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image
from torch import Tensor

from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.generator import sample_generator
from finelens.data.augment.steps import Step
from finelens.data.images import ImageArray
from finelens.data.lettering import MUTED, PAPER, write_words
from finelens.data.sampling import Sampling
from finelens.errors import ConfigError
from finelens.replacing import replacing

SIDE = 4
"""Draws in a row, and rows; of a clip frames in a row, and draws."""

_CELL, _GAP, _MARGIN, _GUTTER = 224, 8, 48, 40
_GRID = SIDE * _CELL + (SIDE - 1) * _GAP
_SCORED = 2 * _CELL + _GAP
_WIDTH = 2 * _MARGIN + _SCORED + _GUTTER + _GRID
_TITLE_HEIGHT, _HEADING_HEIGHT, _CAPTION_HEIGHT, _LINE_HEIGHT = 84, 46, 32, 23
_MOST_CHARACTERS = 52
_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Panel:
    """One policy's part of a sheet; the heading, such as a phase's name, may be empty."""

    heading: str
    augmentation: Augmentation


def draw_sheet(
    read: Callable[[int | None], ImageArray],
    panels: Sequence[Panel],
    *,
    title: str,
    subtitle: str,
    seed: int = 0,
) -> Image.Image:
    """Return a picture with a panel a policy, one below the other.

    A panel holds the evaluation view, the policy's steps, and ``SIDE`` x ``SIDE`` draws: those of
    sample 0 in the first epochs under a seed. Of a clip each row is one draw, and holds up to
    ``SIDE`` of its frames from left to right. Views of another side than 224 pixels are scaled.

    Args:
        read: Gives a picture (H, W, 3), decoded at a ``least_side`` as ``decode_image`` takes it,
            or the frames (T, H, W, 3) of a clip.
        panels: At least one.
        title: In large letters.
        subtitle: Below it.
        seed: Of the draws, 0 or more.
    """
    heights = [_panel_height(panel) for panel in panels]
    height = _MARGIN + _TITLE_HEIGHT + sum(heights) + _GUTTER * (len(panels) - 1) + _MARGIN
    sheet = Image.new("RGB", (_WIDTH, height), PAPER)
    _write(sheet, (_MARGIN, _MARGIN), title, size_px=32, is_bold=True)
    _write(sheet, (_MARGIN, _MARGIN + 44), subtitle, size_px=17, ink=MUTED)
    top = _MARGIN + _TITLE_HEIGHT
    for panel, panel_height in zip(panels, heights, strict=True):
        _draw_panel(sheet, panel, read, top, seed)
        top += panel_height + _GUTTER
    return sheet


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as PNG, whole or not at all; a file that is there is replaced.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            sheet.save(temporary, format="PNG")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error


def _panel_height(panel: Panel) -> int:
    left = _SCORED + _GAP + _LINE_HEIGHT * len(_told_lines(panel.augmentation))
    heading = _HEADING_HEIGHT if panel.heading else 0
    return heading + _CAPTION_HEIGHT + max(_GRID, left)


def _draw_panel(
    sheet: Image.Image,
    panel: Panel,
    read: Callable[[int | None], ImageArray],
    top: int,
    seed: int,
) -> None:
    augmentation = panel.augmentation
    image = read(augmentation.least_side)
    left, right = _MARGIN, _MARGIN + _SCORED + _GUTTER
    if panel.heading:
        _write(sheet, (left, top), panel.heading, size_px=22, is_bold=True)
        top += _HEADING_HEIGHT
    _write(sheet, (left, top), "when scoring", size_px=16, ink=MUTED)
    is_clip = image.ndim == 4
    draws = f"when training, {SIDE * SIDE} draws"
    if is_clip:
        draws = "when training; a row is one draw, its frames from left to right"
    _write(sheet, (right, top), draws, size_px=16, ink=MUTED)
    top += _CAPTION_HEIGHT
    scored = augmentation.preprocessing(read(augmentation.preprocessing.least_side))
    if is_clip:
        _paste_grid(sheet, scored[_shown(scored)], (left, top), num_columns=2)
        views = [augmentation(image, sample_generator(seed, n, 0)) for n in range(SIDE)]
        cells = [view_CHW for view in views for view_CHW in view[_shown(view)]]
        _paste_grid(sheet, cells, (right, top), num_columns=len(cells) // SIDE)
    else:
        sheet.paste(_picture(scored, _SCORED), (left, top))
        cells = [augmentation(image, sample_generator(seed, n, 0)) for n in range(SIDE * SIDE)]
        _paste_grid(sheet, cells, (right, top), num_columns=SIDE)
    for number, line in enumerate(_told_lines(augmentation)):
        place = (left, top + _SCORED + 2 * _GAP + number * _LINE_HEIGHT)
        _write(sheet, place, line, size_px=14, is_mono=True)


def _shown(view_TCHW: Tensor) -> list[int]:
    num_frames = len(view_TCHW)
    return Sampling(min(SIDE, num_frames)).indices(num_frames).tolist()


def _paste_grid(
    sheet: Image.Image, views: Iterable[Tensor], corner: tuple[int, int], *, num_columns: int
) -> None:
    for number, view_CHW in enumerate(views):
        row, column = divmod(number, num_columns)
        place = (corner[0] + column * (_CELL + _GAP), corner[1] + row * (_CELL + _GAP))
        sheet.paste(_picture(view_CHW, _CELL), place)


def _picture(view_CHW: Tensor, side: int) -> Image.Image:
    image = Image.fromarray(view_CHW.permute(1, 2, 0).contiguous().numpy())
    return image.resize((side, side), Image.Resampling.LANCZOS)


def _told_lines(augmentation: Augmentation) -> list[str]:
    return list(_told(augmentation.steps, "")) or ["no step: every draw is the scoring view"]


def _told(steps: Sequence[Step], indent: str) -> Iterator[str]:
    for step in steps:
        settings = [
            f"{name}{_NO_BREAK}{_spoken(value)}"
            for name, value in step.settings.items()
            if value is not None and name != "steps" and (name, value) != ("p", 1.0)
        ]
        yield from textwrap.wrap(
            f"{step.name}: {', '.join(settings)}" if settings else step.name,
            width=_MOST_CHARACTERS,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
        )
        yield from _told(step.settings.get("steps", ()), f"{indent}  ")


def _spoken(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{f',{_NO_BREAK}'.join(map(_spoken, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_write = partial(write_words, margin_px=_MARGIN)
