"""Colours: drawn at random, made darker or lighter."""

from __future__ import annotations

import colorsys

import numpy as np

Colour = tuple[int, ...]
"""Red, green, blue and perhaps opacity, each in 0..255."""


def random_colour(
    generator: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    *,
    hue: tuple[float, float] = (0.0, 1.0),
) -> Colour:
    """Return a colour whose saturation, value and hue are drawn from ranges within [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(
        generator.uniform(*hue), generator.uniform(*saturation), generator.uniform(*value)
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor below 1) or lighter (above 1)."""
    return tuple(min(round(part * factor), 255) for part in colour)
