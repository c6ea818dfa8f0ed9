"""One clip of the demo: an actor before a backdrop, and the frames of its motion.

A scene is a backdrop, an actor, its pose and its colours, drawn from a generator keyed by
(seed, scene); each clip of it adds a start and a motion keyed by (seed, scene, motion).
Nothing in a scene knows of the motions, and ``motion.py`` says why no single frame tells them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from finelens.data.demo.actors import ACTORS, INK
from finelens.data.demo.backdrop import draw_backdrop
from finelens.data.demo.motion import DOWN, MOTIONS, RIGHT, TURN, Shifts, random_shifts
from finelens.data.demo.pen import Pen
from finelens.data.demo.scene import random_look

NUM_FRAMES, SIDE_PX = 30, 64
DIAGONAL_PX = (20.0, 38.0)
"""From corner to corner of an actor."""
TILE_PX = 44
SCALE = 4
"""Canvas pixels a picture pixel: shapes are drawn large and averaged down."""
HAZE, HAZE_SHARE = np.float32(225), np.float32(0.6)
"""How bright a haze hides how much of the backdrop, so that the actor stands out."""
POSES = {
    "ball": ("jumping",),
    "bird": ("flying", "walking", "eating"),
    "car": ("running", "jumping"),
    "cat": ("jumping", "walking", "eating"),
    "person": ("climbing", "walking"),
}

Frames = NDArray[np.uint8]
"""T frames x H x W x 3."""


@dataclass(frozen=True)
class Stage:
    """What the clips of one scene share."""

    backdrop: NDArray[np.float32]
    """Side x side x 3."""
    grain: NDArray[np.float32]
    """The camera's noise, two pictures long: each frame takes a piece from a random place."""
    sprite: Image.Image
    """The actor at its largest in the middle of a square; RGBa."""


def draw_stage(seed: int, scene: int) -> Stage:
    """Return the backdrop and the actor of a scene."""
    generator = np.random.Generator(np.random.Philox(key=[seed, scene]))
    horizon_px = SIDE_PX * generator.uniform(0.3, 0.7)
    backdrop = draw_backdrop(generator, SIDE_PX, SIDE_PX, horizon_px, SCALE).reduce(SCALE)
    pixels = HAZE + (1 - HAZE_SHARE) * (np.asarray(backdrop, dtype=np.float32) - HAZE)
    grain = generator.standard_normal(2 * pixels.size, dtype=np.float32)
    grain *= generator.uniform(1.0, 4.0)
    return Stage(pixels, grain, _draw_sprite(generator))


def draw_clip(stage: Stage, motion: str, seed: int, scene: int) -> Frames:
    """Return a clip (30, 64, 64, 3) of a scene's actor in a motion of ``MOTIONS``."""
    key = np.random.SeedSequence((seed, scene, 1 + list(MOTIONS).index(motion)))
    generator = np.random.Generator(np.random.Philox(key))
    start_3, size_px = generator.random(3), generator.uniform(*DIAGONAL_PX)
    places_T3 = (start_3 + random_shifts(motion, generator, NUM_FRAMES)) % 1
    frames_THWC = np.empty((NUM_FRAMES, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    for frame_HWC, place_3 in zip(frames_THWC, places_T3, strict=True):
        exposed_HWC = stage.backdrop.copy()
        _paint(exposed_HWC, stage.sprite, place_3, size_px)
        start = generator.integers(exposed_HWC.size)
        exposed_HWC += stage.grain[start : start + exposed_HWC.size].reshape(exposed_HWC.shape)
        frame_HWC[:] = np.clip(exposed_HWC, 0, 255, out=exposed_HWC)
    return frames_THWC


def _draw_sprite(generator: np.random.Generator) -> Image.Image:
    names = list(POSES)
    actor = names[generator.integers(len(names))]
    poses = POSES[actor]
    action, phase = poses[generator.integers(len(poses))], generator.random()
    look, facing = random_look(generator), 1 if generator.random() < 0.5 else -1
    unit = Pen(1.0, facing=facing)
    ACTORS[actor](unit, action, phase, look)
    box = unit.box()
    size_px = DIAGONAL_PX[1] / math.hypot(box.right - box.left, box.bottom - box.top)
    pen = Pen(size_px, facing=facing)
    ACTORS[actor](pen, action, phase, look)
    sprite = Image.new("RGBA", (TILE_PX * SCALE, TILE_PX * SCALE))
    box = pen.box()
    place_px = ((TILE_PX - box.left - box.right) / 2, (TILE_PX - box.top - box.bottom) / 2)
    pen.paint(ImageDraw.Draw(sprite), place_px, scale=SCALE, outline=INK, outline_px=0.7)
    return sprite.convert("RGBa").reduce(SCALE)


def _paint(
    frame_HWC: NDArray[np.float32], sprite: Image.Image, place_3: Shifts, size_px: float
) -> None:
    """Lay the actor over a frame; what leaves at one side comes in at the other."""
    right_px, down_px = place_3[RIGHT] * SIDE_PX, place_3[DOWN] * SIDE_PX
    left, top = math.floor(right_px), math.floor(down_px)
    turn_rad = math.tau * place_3[TURN]
    tile_HWC = _turned(sprite, turn_rad, size_px, right_px - left, down_px - top)
    rows, columns = (top + np.arange(TILE_PX)) % SIDE_PX, (left + np.arange(TILE_PX)) % SIDE_PX
    region = np.ix_(rows, columns)
    clear_HWC = 1 - tile_HWC[..., 3:] * np.float32(1 / 255)
    frame_HWC[region] = tile_HWC[..., :3] + frame_HWC[region] * clear_HWC


def _turned(
    sprite: Image.Image, turn_rad: float, size_px: float, right_px: float, down_px: float
) -> NDArray[np.float32]:
    """Return the actor turned, sized and shifted by less than a pixel, premultiplied RGBA."""
    factor, middle = DIAGONAL_PX[1] / size_px, sprite.width / 2
    cos, sin = factor * math.cos(turn_rad), factor * math.sin(turn_rad)
    x, y = middle + right_px, middle + down_px
    # where in the sprite a pixel of the tile comes from
    matrix = (cos, sin, middle - cos * x - sin * y, -sin, cos, middle + sin * x - cos * y)
    turned = sprite.transform(sprite.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.asarray(turned, dtype=np.float32)
