"""The preview of the demo's clips: a row of frames a motion, all of one scene."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from finelens.data.demo.clip import NUM_FRAMES, SIDE_PX, draw_clip, draw_stage
from finelens.data.demo.motion import MOTIONS

STEP = 3
"""Every how manieth frame is shown."""
ZOOM = 2
_GAP, _MARGIN, _NAMES = 6, 24, 150
_INK, _PAPER = "#1f2328", "#f6f8fa"


def draw_preview(seed: int, scene: int = 0) -> Image.Image:
    """Return a picture with a named row of ten frames, left to right, for every motion."""
    cell = SIDE_PX * ZOOM + _GAP
    columns = range(0, NUM_FRAMES, STEP)
    size = (2 * _MARGIN + _NAMES + cell * len(columns) - _GAP, 2 * _MARGIN + cell * len(MOTIONS))
    sheet = Image.new("RGB", size, _PAPER)
    stage, font = draw_stage(seed, scene), ImageFont.load_default(18)
    for number, motion in enumerate(MOTIONS):
        top = _MARGIN + number * cell
        middle = (_MARGIN, top + SIDE_PX * ZOOM // 2)
        ImageDraw.Draw(sheet).text(middle, motion, font=font, fill=_INK, anchor="lm")
        frames_THWC = draw_clip(stage, motion, seed, scene)
        for column, index in enumerate(columns):
            frame = Image.fromarray(frames_THWC[index])
            frame = frame.resize((SIDE_PX * ZOOM, SIDE_PX * ZOOM), Image.Resampling.LANCZOS)
            sheet.paste(frame, (_MARGIN + _NAMES + column * cell, top))
    return sheet
