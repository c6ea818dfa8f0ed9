"""A pen that draws shapes given in an actor's own units onto a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from finelens.data.demo.colour import Colour

Point = tuple[float, float]

_CORNERS = [(math.cos(a * math.tau / 28), math.sin(a * math.tau / 28)) for a in range(28)]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the shared area over the smaller rectangle's area, in [0, 1]."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        smaller = min(self._area(), other._area())
        return max(width, 0.0) * max(height, 0.0) / smaller

    def union(self, other: Box) -> Box:
        """Return the smallest rectangle around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def moved(self, right_px: float, down_px: float) -> Box:
        """Return the rectangle at another place."""
        return Box(
            self.left + right_px, self.top + down_px, self.right + right_px, self.bottom + down_px
        )

    def _area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class _Shape:
    points: list[Point]
    colour: Colour
    width_px: float | None  # None: a filled polygon; else a line with round ends
    is_outlined: bool


class Pen:
    """Collects the shapes of one actor, then paints them with an outline around the whole.

    Its units: the origin lies between the actor's feet, x points where the actor looks, y up,
    and 1 is ``size_px`` pixels. The feet are ``height`` above the place on the ground that is
    given when the shapes are painted; the tilt turns the actor about its feet, nose up.
    """

    def __init__(
        self, size_px: float, *, height: float = 0.0, facing: int = 1, tilt_rad: float = 0.0
    ) -> None:
        self._size_px = size_px
        self._height = height
        self._facing = facing
        self._cos, self._sin = math.cos(tilt_rad), math.sin(tilt_rad)
        self._shapes: list[_Shape] = []

    def polygon(self, points: Sequence[Point], colour: Colour, *, outlined: bool = True) -> None:
        """Add a filled polygon."""
        self._shapes.append(_Shape(self._placed(points), colour, None, outlined))

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        colour: Colour,
        *,
        turn_rad: float = 0.0,
        outlined: bool = True,
    ) -> None:
        """Add a filled ellipse, turned anticlockwise about its centre."""
        cos, sin = math.cos(turn_rad), math.sin(turn_rad)
        ring = [(x * radii[0], y * radii[1]) for x, y in _CORNERS]
        points = [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in ring]
        self.polygon(points, colour, outlined=outlined)

    def disc(self, centre: Point, radius: float, colour: Colour, *, outlined: bool = True) -> None:
        """Add a filled circle."""
        self.ellipse(centre, (radius, radius), colour, outlined=outlined)

    def limb(
        self, points: Sequence[Point], width: float, colour: Colour, *, outlined: bool = True
    ) -> None:
        """Add a thick line through points, with round joints and ends."""
        placed = self._placed(points)
        self._shapes.append(_Shape(placed, colour, width * self._size_px, outlined))

    def box(self) -> Box:
        """Return the rectangle around everything drawn so far, for the place (0, 0)."""
        spread = [
            (x, y, (shape.width_px or 0) / 2) for shape in self._shapes for x, y in shape.points
        ]
        return Box(
            min(x - r for x, _, r in spread),
            min(y - r for _, y, r in spread),
            max(x + r for x, _, r in spread),
            max(y + r for _, y, r in spread),
        )

    def paint(
        self,
        draw: ImageDraw.ImageDraw,
        place_px: Point,
        *,
        scale: int,
        outline: Colour,
        outline_px: float,
    ) -> None:
        """Paint the shapes at a place on a canvas ``scale`` times as large as the picture."""
        lines = [([((place_px[0] + x) * scale, (place_px[1] + y) * scale) for x, y in s.points], s)
                 for s in self._shapes]  # fmt: skip
        for points, shape in lines:
            if shape.is_outlined:
                _paint(draw, points, shape.width_px, outline, scale, outline_px)
        for points, shape in lines:
            _paint(draw, points, shape.width_px, shape.colour, scale, 0.0)

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        across, along = self._facing * self._size_px, self._size_px
        cos, sin, height = self._cos, self._sin, self._height
        return [
            (across * (x * cos - y * sin), -along * (x * sin + y * cos + height)) for x, y in points
        ]


def _paint(
    draw: ImageDraw.ImageDraw,
    points: list[Point],
    width_px: float | None,
    colour: Colour,
    scale: int,
    margin_px: float,
) -> None:
    if width_px is None:
        draw.polygon(points, fill=colour)
        if margin_px:
            width = round(2 * margin_px * scale)
            draw.line([*points, points[0], points[1]], fill=colour, width=width, joint="curve")
        return
    thickness = (width_px + 2 * margin_px) * scale
    draw.line(points, fill=colour, width=max(round(thickness), 1), joint="curve")
    if len(colour) == 3:  # round ends would show twice through a line one can see through
        for x, y in (points[0], points[-1]):
            r = thickness / 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
