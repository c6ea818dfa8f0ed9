"""One scene of the demo: which actors do what, where, and the picture of it.

Everything about scene ``index`` is drawn from a generator keyed by (seed, index): it is the
same scene however many are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from finelens.data.demo.actors import ACTORS, INK, Look
from finelens.data.demo.backdrop import draw_backdrop
from finelens.data.demo.colour import random_colour
from finelens.data.demo.pen import Box, Pen, Point
from finelens.data.demo.props import PROPS, draw_shadow

CLASSES = (
    "ball-jumping",
    "ball-rolling",
    "bird-eating",
    "bird-flying",
    "bird-walking",
    "car-jumping",
    "car-running",
    "cat-eating",
    "cat-jumping",
    "cat-walking",
    "person-climbing",
    "person-walking",
)
SKINS = ((255, 219, 188), (224, 172, 125), (176, 117, 76), (104, 68, 46))
SIZES_PX = ((96, 96), (112, 96), (128, 96), (120, 104), (96, 112))
NUM_ACTORS = (0.02, 0.28, 0.4, 0.3)
"""How often a scene has none, one, two or three."""
SIZE = (0.32, 0.48)
"""A person's height over the picture's."""
STATURES = {"car": 0.78, "cat": 0.9}
"""An actor's unit over a person's, where it is not 1."""
HEIGHTS = {"climbing": (0.15, 0.5), "jumping": (0.4, 0.75)}
"""How far above the ground an action holds its actor, in the actor's size."""
TILTS = {"car-jumping": (0.1, 0.4), "cat-jumping": (-0.1, 0.3)}
"""Radians."""
SCALE = 3
"""Canvas pixels a picture pixel: shapes are drawn large and averaged down."""


@dataclass(frozen=True)
class Scene:
    """A picture and the actor-actions in it."""

    image: NDArray[np.uint8]
    """Height x width x 3."""
    labels: tuple[str, ...]
    """Sorted, each once; empty for a scene without actors."""


@dataclass(frozen=True)
class _Figure:
    """An actor-action drawn for the place (0, 0), its feet or its shadow there."""

    label: str
    pens: tuple[Pen, ...]
    box: Box


def draw_scene(seed: int, index: int) -> Scene:
    """Return a scene with up to three actors, in one of five sizes near 112 x 96 pixels."""
    generator = np.random.Generator(np.random.Philox(key=[seed, index]))
    width_px, height_px = SIZES_PX[generator.integers(len(SIZES_PX))]
    horizon_px = height_px * generator.uniform(0.4, 0.6)
    canvas = draw_backdrop(generator, width_px, height_px, horizon_px, SCALE)
    placed = _place_figures(generator, width_px, height_px)
    draw = ImageDraw.Draw(canvas, "RGBA")
    for figure, place_px in sorted(placed, key=lambda pair: pair[1][1]):  # the near hide the far
        for pen in figure.pens:
            pen.paint(draw, place_px, scale=SCALE, outline=INK, outline_px=0.7)
    image = _photographed(generator, canvas.reduce(SCALE))
    return Scene(image, tuple(sorted({figure.label for figure, _ in placed})))


def _place_figures(
    generator: np.random.Generator, width_px: int, height_px: int
) -> list[tuple[_Figure, Point]]:
    """Return figures and places in the picture where they hardly hide one another.

    A figure that finds no room in 20 trials is left out.
    """
    placed: list[tuple[_Figure, Point]] = []
    for _ in range(generator.choice(4, p=NUM_ACTORS)):
        label = CLASSES[generator.integers(len(CLASSES))]
        figure = _draw_figure(generator, label, height_px * generator.uniform(*SIZE))
        taken = [other.box.moved(*place_px) for other, place_px in placed]
        for _ in range(20):
            place_px = _random_place(generator, figure, width_px, height_px)
            box = figure.box.moved(*place_px)
            if all(box.overlap(other) < 0.1 for other in taken):
                placed.append((figure, place_px))
                break
    return placed


def _random_place(
    generator: np.random.Generator, figure: _Figure, width_px: int, height_px: int
) -> Point:
    """Return a place that keeps the figure in the picture: fliers high, the others low."""
    box, is_flying = figure.box, figure.label.endswith("flying")
    highest = max(1 - box.top, 0.0 if is_flying else 0.66 * height_px)
    lowest = max(highest, 0.5 * height_px if is_flying else height_px - 1 - box.bottom)
    x_px = generator.uniform(1 - box.left, width_px - 1 - box.right)
    return x_px, generator.uniform(highest, lowest)


def _draw_figure(generator: np.random.Generator, label: str, person_px: float) -> _Figure:
    actor, action = label.split("-")
    size_px = person_px * STATURES.get(actor, 1.0)
    facing = 1 if generator.random() < 0.5 else -1
    height = generator.uniform(*HEIGHTS.get(action, (0.0, 0.0)))
    tilt_rad = generator.uniform(*TILTS.get(label, (-0.06, 0.06)))
    body = Pen(size_px, height=height, facing=facing, tilt_rad=tilt_rad)
    ACTORS[actor](body, action, _phase(generator), random_look(generator))
    if action == "flying":
        return _Figure(label, (body,), body.box())
    ground = Pen(size_px, facing=facing)
    draw_shadow(ground, 0.5 if actor in {"car", "cat"} else 0.3)
    if label in PROPS:
        PROPS[label](ground, height)
    return _Figure(label, (ground, body), ground.box().union(body.box()))


def _phase(generator: np.random.Generator) -> float:
    # near either end of a stride: in passing, legs hide each other
    return float(generator.choice((0.25, 0.75)) + generator.uniform(-0.12, 0.12))


def random_look(generator: np.random.Generator) -> Look:
    """Return the colours of an individual."""
    main = random_colour(generator, (0.45, 0.95), (0.55, 1.0))
    second = random_colour(generator, (0.3, 0.9), (0.25, 0.8))
    return Look(main, second, SKINS[generator.integers(len(SKINS))])


def _photographed(generator: np.random.Generator, image: Image.Image) -> NDArray[np.uint8]:
    """Return a picture with the exposure, the blur and the noise of a small camera."""
    if generator.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 0.7)))
    pixels = generator.standard_normal((image.height, image.width, 3), dtype=np.float32)
    pixels *= generator.uniform(1.0, 7.0)
    pixels += np.asarray(image, dtype=np.float32) * np.float32(generator.uniform(0.75, 1.1))
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
