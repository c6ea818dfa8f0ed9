"""The demo's actors: little figures drawn in the pose of an action at a phase of its cycle.

A phase runs from 0 to 1 and around again, so that a clip is the same actor at rising phases.
Nothing but the pose tells the action here; what the action adds around it is in ``props.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from finelens.data.demo.colour import Colour, shade
from finelens.data.demo.pen import Pen, Point

WHITE, INK = (250, 250, 250), (32, 30, 38)


@dataclass(frozen=True)
class Look:
    """The colours of one individual."""

    main: Colour
    second: Colour
    skin: Colour


def draw_ball(pen: Pen, action: str, phase: float, look: Look) -> None:
    """Draw a beach ball, 0.7 across, turned by its phase; still, rolling or jumping."""
    centre, radius = (0.0, 0.35), 0.35
    pen.disc(centre, radius, look.main)
    start = -math.tau * phase if action == "rolling" else math.tau * phase / 6
    for panel in range(3):
        angles = [start + math.tau * (panel / 3 + step / 36) for step in range(7)]
        rim = [_from(centre, angle + math.pi / 2, radius) for angle in angles]
        pen.polygon([centre, *rim], WHITE if panel else look.second, outlined=False)
    pen.disc(centre, 0.07, look.second, outlined=False)


def draw_car(pen: Pen, action: str, phase: float, look: Look) -> None:
    """Draw a car, 1.3 long, its wheels turned by its phase."""
    pen.polygon([(-0.36, 0.36), (-0.24, 0.62), (0.16, 0.62), (0.36, 0.36)], shade(look.main, 0.85))
    body = [(-0.64, 0.14), (-0.65, 0.36), (-0.55, 0.42), (0.4, 0.42), (0.62, 0.34), (0.66, 0.14)]
    pen.polygon(body, look.main)
    glass = (196, 226, 240)
    pen.polygon([(-0.29, 0.4), (-0.2, 0.57), (-0.06, 0.57), (-0.06, 0.4)], glass, outlined=False)
    pen.polygon([(0.0, 0.4), (0.0, 0.57), (0.13, 0.57), (0.27, 0.4)], glass, outlined=False)
    pen.disc((0.6, 0.29), 0.05, (255, 240, 150), outlined=False)
    drop = 0.05 if action == "jumping" else 0.0  # in the air the wheels hang
    for x in (-0.36, 0.38):
        hub = (x, 0.15 - drop)
        pen.disc(hub, 0.15, INK)
        pen.disc(hub, 0.08, (190, 190, 196), outlined=False)
        spoke = _from(hub, -math.tau * phase, 0.08)
        pen.limb([hub, spoke], 0.04, INK, outlined=False)


def draw_bird(pen: Pen, action: str, phase: float, look: Look) -> None:
    """Draw a bird, 0.8 tall, walking, pecking at the ground or beating its wings."""
    swing = math.sin(math.tau * phase)
    wing = shade(look.main, 0.72)
    lean = {"flying": 0.05, "eating": -0.55}.get(action, 0.3)
    body = (0.0, 0.42)
    if action == "flying":
        _wing(pen, body, 0.3 + 0.95 * swing, -0.3, shade(wing, 0.85))
    else:
        for hip, lift in ((-0.03, swing), (0.07, -swing)):
            foot = (hip + 0.14 * lift, 0.0)
            pen.limb([(hip, 0.3), foot, (foot[0] + 0.09, 0.0)], 0.045, (226, 140, 40))
    tail = _from(body, math.pi / 2 + lean, -0.28)
    pen.polygon([tail, _from(tail, 1.32 + lean, -0.34), _from(tail, 1.85 + lean, -0.34)], wing)
    pen.ellipse(body, (0.31, 0.19), look.main, turn_rad=lean)
    neck = _from(body, math.pi / 2 + lean, 0.29)
    head = (neck[0] + 0.06, neck[1] - (0.09 if action == "eating" else -0.09))
    beak = -1.0 - 0.15 * swing if action == "eating" else 0.0
    _beak(pen, head, beak)
    pen.disc(head, 0.14, look.second)
    pen.disc((head[0] + 0.05, head[1] + 0.04), 0.032, INK, outlined=False)
    if action == "flying":
        _wing(pen, (0.02, 0.45), 0.2 + 0.95 * swing, 0.08, wing)
    else:
        pen.ellipse((-0.05, 0.42), (0.2, 0.1), wing, turn_rad=lean, outlined=False)


def _wing(pen: Pen, root: Point, lift_rad: float, sweep: float, colour: Colour) -> None:
    # lift 0 points ahead-down, so the tip swings from below the body to above it
    tip = (root[0] - 0.22 - sweep, root[1] + 0.75 * math.sin(lift_rad))
    middle = (root[0] + 0.1 - sweep, root[1] + 0.5 * math.sin(lift_rad))
    pen.polygon([(root[0] + 0.14, root[1]), middle, tip, (root[0] - 0.2, root[1])], colour)


def _beak(pen: Pen, head: Point, turn_rad: float) -> None:
    ahead = math.pi / 2 + turn_rad
    side = (_from(head, ahead - 0.5, 0.13), _from(head, ahead + 0.5, 0.13))
    pen.polygon([*side, _from(head, ahead, 0.28)], (246, 174, 45))


def draw_cat(pen: Pen, action: str, phase: float, look: Look) -> None:
    """Draw a cat, 1.2 long, walking, eating with its head down or leaping stretched out."""
    swing = math.sin(math.tau * phase)
    head = {"eating": (0.5, 0.27), "jumping": (0.5, 0.62)}.get(action, (0.43, 0.66))
    tip = {"eating": (-0.72, 0.3), "jumping": (-0.82, 0.5)}.get(action, (-0.52, 0.95))
    pen.limb([(-0.3, 0.46), (-0.54, 0.5), (tip[0], tip[1] + 0.05 * swing)], 0.1, look.main)
    dark = shade(look.main, 0.75)
    for hip, way, colour in (
        (-0.2, -1, dark),
        (0.3, 1, dark),
        (-0.28, 1, look.main),
        (0.22, -1, look.main),
    ):
        if action == "jumping":
            reach = 0.36 if hip > 0 else -0.36
            foot = (hip + reach + 0.05 * way, 0.2 + 0.05 * way * swing)
        else:
            stride = 0.0 if action == "eating" else 0.17 * way * swing
            foot = (hip + stride, 0.05)
        pen.limb([(hip, 0.4), foot], 0.11, colour)
    pen.ellipse((0.0, 0.44), (0.38, 0.18), look.main, turn_rad=0.18 if action == "jumping" else 0.0)
    for x in (-0.18, -0.04, 0.1):
        pen.limb([(x, 0.58), (x - 0.03, 0.46)], 0.05, look.second, outlined=False)
    _cat_head(pen, head, -0.7 if action == "eating" else 0.0, look)


def _cat_head(pen: Pen, head: Point, turn_rad: float, look: Look) -> None:
    pen.limb([(0.28, 0.46), head], 0.2, look.main, outlined=False)
    up = math.pi + turn_rad
    for side in (-0.6, 0.6):
        base = up + side
        ear = [
            _from(head, base - 0.42, 0.17),
            _from(head, base, 0.3),
            _from(head, base + 0.42, 0.17),
        ]
        pen.polygon(ear, look.main)
    pen.disc(head, 0.19, look.main)
    pen.disc(_from(head, up - 1.85, 0.12), 0.07, WHITE, outlined=False)
    pen.disc(_from(head, up - 1.75, 0.18), 0.03, (224, 120, 130), outlined=False)
    for side in (-1.15, -0.1):
        pen.disc(_from(head, up + side, 0.1), 0.034, INK, outlined=False)


def draw_person(pen: Pen, action: str, phase: float, look: Look) -> None:
    """Draw a person, 1 tall, walking seen from the side or climbing seen from behind."""
    swing = math.sin(math.tau * phase)
    limbs = _climbing_limbs if action == "climbing" else _walking_limbs
    shoulder, head = (0.0, 0.68), (0.02, 0.87)
    far, near = limbs(swing)
    for points, width, colour in _dressed(far, look, 0.75):
        pen.limb(points, width, colour)
    pen.limb([(0.0, 0.46), shoulder], 0.22, look.main)
    pen.disc(head, 0.14, look.skin)
    if action == "climbing":
        pen.disc((head[0] - 0.02, head[1] + 0.02), 0.12, look.second, outlined=False)
    else:
        pen.ellipse((head[0] - 0.04, head[1] + 0.07), (0.12, 0.07), look.second, turn_rad=0.25)
        pen.disc((head[0] + 0.07, head[1]), 0.025, INK, outlined=False)
    for points, width, colour in _dressed(near, look, 1.0):
        pen.limb(points, width, colour)


def _walking_limbs(swing: float) -> tuple[list[list[Point]], list[list[Point]]]:
    sides = []
    for way in (-1, 1):
        stride = 0.55 * way * swing
        knee = _from((0.0, 0.44), stride + 0.12, 0.22)
        leg = [(0.0, 0.44), knee, _from(knee, stride - 0.12, 0.2)]
        elbow = _from((0.0, 0.68), -0.9 * stride - 0.1, 0.17)
        sides.append([leg, [(0.0, 0.68), elbow, _from(elbow, -0.9 * stride + 0.5, 0.15)]])
    return sides[0], sides[1]


def _climbing_limbs(swing: float) -> tuple[list[list[Point]], list[list[Point]]]:
    sides = []
    for way in (-1, 1):
        rise = 0.1 * way * swing
        leg = [(0.07 * way, 0.44), (0.2 * way, 0.3 + rise), (0.13 * way, 0.08 + rise)]
        arm = [(0.08 * way, 0.68), (0.26 * way, 0.78 - rise / 2), (0.17 * way, 1.02 - rise)]
        sides.append([leg, arm])
    return [], [*sides[0], *sides[1]]


def _dressed(
    limbs: list[list[Point]], look: Look, light: float
) -> list[tuple[list[Point], float, Colour]]:
    """Return each limb's points with its width and colour: legs and arms take turns."""
    styles = ((0.11, look.second), (0.085, look.skin))
    return [
        (points, styles[i % 2][0], shade(styles[i % 2][1], light)) for i, points in enumerate(limbs)
    ]


def _from(start: Point, angle_rad: float, length: float) -> Point:
    """Return the point at a distance; 0 is straight down and a quarter turn is ahead."""
    return start[0] + length * math.sin(angle_rad), start[1] - length * math.cos(angle_rad)


ACTORS: dict[str, Callable[[Pen, str, float, Look], None]] = {
    "ball": draw_ball,
    "bird": draw_bird,
    "car": draw_car,
    "cat": draw_cat,
    "person": draw_person,
}
