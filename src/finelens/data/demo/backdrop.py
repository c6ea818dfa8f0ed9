"""The demo's backdrops: sky or wall, ground, and things nobody asked about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from finelens.data.demo.colour import Colour, random_colour, shade
from finelens.data.demo.pen import Pen


def draw_backdrop(
    generator: np.random.Generator, width_px: int, height_px: int, horizon_px: float, scale: int
) -> Image.Image:
    """Return an empty scene as a canvas ``scale`` times the size of the picture.

    Two gradients meet at the horizon; up to four pieces of clutter stand behind the actors.
    """
    canvas = _gradients(generator, width_px, height_px, horizon_px, scale)
    draw = ImageDraw.Draw(canvas, "RGBA")
    kinds = list(CLUTTER)
    for _ in range(generator.integers(0, 5)):
        x_px = generator.uniform(0, width_px)
        size_px = height_px * generator.uniform(0.12, 0.3)
        kind = kinds[generator.integers(len(kinds))]
        up_px = height_px * generator.uniform(0.05, 0.2) if kind == "cloud" else -2.0
        pen = Pen(size_px)
        CLUTTER[kind](pen, random_colour(generator, (0.1, 0.4), (0.55, 0.85)))
        place_px = (x_px, horizon_px - up_px)
        pen.paint(draw, place_px, scale=scale, outline=(90, 90, 100, 120), outline_px=0.4)
    return canvas


def _gradients(
    generator: np.random.Generator, width_px: int, height_px: int, horizon_px: float, scale: int
) -> Image.Image:
    sky = _related(random_colour(generator, (0.05, 0.35), (0.8, 1.0)), 1.15)
    ground = _related(random_colour(generator, (0.15, 0.45), (0.5, 0.8), hue=(0.06, 0.45)), 0.8)
    rows = np.empty((height_px, 1, 3), dtype=np.uint8)
    horizon = round(horizon_px)
    rows[:horizon, 0] = np.linspace(*sky, horizon)
    rows[horizon:, 0] = np.linspace(*ground, height_px - horizon)
    return Image.fromarray(rows).resize(
        (width_px * scale, height_px * scale), Image.Resampling.NEAREST
    )


def _related(colour: Colour, factor: float) -> tuple[Colour, Colour]:
    """Return the two ends of a gradient: a colour and a lighter or darker one."""
    return colour, shade(colour, factor)


def _draw_cloud(pen: Pen, colour: Colour) -> None:
    white = tuple(min(part + 60, 255) for part in colour)
    for x, y, radius in ((-0.4, 0.0, 0.22), (0.0, 0.1, 0.32), (0.4, 0.0, 0.24)):
        pen.ellipse((x, y), (radius * 1.3, radius), white, outlined=False)


def _draw_tree(pen: Pen, colour: Colour) -> None:
    pen.limb([(0.0, 0.0), (0.0, 0.7)], 0.16, (122, 96, 76))
    for x, y in ((-0.22, 0.8), (0.22, 0.8), (0.0, 1.1)):
        pen.disc((x, y), 0.34, colour)


def _draw_fir(pen: Pen, colour: Colour) -> None:
    for y in (0.2, 0.55, 0.9):
        pen.polygon([(-0.42 + y * 0.2, y), (0.42 - y * 0.2, y), (0.0, y + 0.6)], colour)


def _draw_house(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.5, 0.0), (-0.5, 0.75), (0.5, 0.75), (0.5, 0.0)], colour)
    roof = shade(colour, 0.7)
    pen.polygon([(-0.62, 0.75), (0.0, 1.2), (0.62, 0.75)], roof)
    pen.polygon([(-0.12, 0.0), (-0.12, 0.4), (0.14, 0.4), (0.14, 0.0)], roof, outlined=False)


def _draw_hill(pen: Pen, colour: Colour) -> None:
    pen.polygon(
        [(-2.0, 0.0), (-0.9, 0.45), (0.0, 0.6), (1.0, 0.4), (2.0, 0.0)], colour, outlined=False
    )


def _draw_fence(pen: Pen, colour: Colour) -> None:
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.limb([(x, 0.0), (x, 0.45)], 0.1, colour)
    for y in (0.14, 0.32):
        pen.limb([(-0.9, y), (0.9, y)], 0.07, colour)


CLUTTER: dict[str, Callable[[Pen, Colour], None]] = {
    "cloud": _draw_cloud,
    "fence": _draw_fence,
    "fir": _draw_fir,
    "hill": _draw_hill,
    "house": _draw_house,
    "tree": _draw_tree,
}
