"""What an action adds around its actor in a still: bowl, seeds, ladder, ramp, motion marks.

Drawn by a pen that stands on the ground; ``height`` is the actor's, in the pen's units.
A clip draws none of the motion marks: there the motion itself tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from finelens.data.demo.colour import Colour
from finelens.data.demo.pen import Pen

MARK: Colour = (255, 255, 255, 190)
WOOD, BOWL = (139, 94, 60), (214, 84, 78)


def draw_shadow(pen: Pen, half_length: float) -> None:
    """Draw a flat shadow on the ground below an actor."""
    pen.ellipse((0.0, 0.0), (half_length, half_length * 0.22), (20, 20, 40, 90), outlined=False)


def draw_streaks(pen: Pen, reach: float, heights: tuple[float, ...]) -> None:
    """Draw level lines behind an actor that moves along the ground."""
    for number, y in enumerate(heights):
        far = reach + 0.5 - 0.12 * (number % 2)
        pen.limb([(-reach, y), (-far, y)], 0.035, MARK, outlined=False)


def draw_lift(pen: Pen, half_width: float, height: float) -> None:
    """Draw upright lines between the ground and an actor in the air."""
    for x in (-half_width, 0.0, half_width):
        pen.limb([(x, 0.3 * height), (x, 0.8 * height)], 0.03, MARK, outlined=False)


def _rolling_ball(pen: Pen, height: float) -> None:
    draw_streaks(pen, 0.45, (height + 0.1, height + 0.3, height + 0.5))
    arc = [(0.47 * math.sin(a), 0.35 + 0.47 * math.cos(a)) for a in (-0.6, -0.2, 0.2, 0.6)]
    pen.limb(arc, 0.04, MARK, outlined=False)
    pen.polygon([(0.38, 0.66), (0.17, 0.72), (0.36, 0.87)], MARK, outlined=False)


def _jumping_ball(pen: Pen, height: float) -> None:
    draw_lift(pen, 0.2, height)


def _jumping_cat(pen: Pen, height: float) -> None:
    draw_lift(pen, 0.35, height)


def _running_car(pen: Pen, height: float) -> None:
    draw_streaks(pen, 0.75, (height + 0.14, height + 0.3, height + 0.46))
    for x, radius in ((-0.74, 0.09), (-0.88, 0.07), (-1.0, 0.05)):
        pen.disc((x, radius), radius, (235, 230, 220, 210), outlined=False)


def _jumping_car(pen: Pen, height: float) -> None:
    pen.polygon([(-1.25, 0.0), (-0.55, 0.0), (-0.55, 0.7 * height)], WOOD)


def _eating_cat(pen: Pen, height: float) -> None:
    rim = height + 0.17
    pen.polygon([(0.47, 0.0), (0.89, 0.0), (0.97, rim), (0.39, rim)], BOWL)
    pen.ellipse((0.68, rim), (0.27, 0.05), (120, 72, 40), outlined=False)


def _eating_bird(pen: Pen, height: float) -> None:
    for x, y in ((0.36, 0.02), (0.47, -0.03), (0.52, 0.05), (0.62, 0.0), (0.43, 0.06)):
        pen.disc((x, height + y), 0.03, (245, 214, 110))


def _climbing_person(pen: Pen, height: float) -> None:
    top = height + 1.25
    for x in (-0.17, 0.17):
        pen.limb([(x, 0.0), (x, top)], 0.06, WOOD)
    for rung in range(1, int(top / 0.17)):
        pen.limb([(-0.17, 0.17 * rung), (0.17, 0.17 * rung)], 0.045, WOOD, outlined=False)


PROPS: dict[str, Callable[[Pen, float], None]] = {
    "ball-jumping": _jumping_ball,
    "ball-rolling": _rolling_ball,
    "bird-eating": _eating_bird,
    "car-jumping": _jumping_car,
    "car-running": _running_car,
    "cat-eating": _eating_cat,
    "cat-jumping": _jumping_cat,
    "person-climbing": _climbing_person,
}
