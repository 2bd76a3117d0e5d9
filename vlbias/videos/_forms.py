"""The forms that can be drawn: strokes and fills in a frame where half the height is 1, x to the right, y down."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

Points: TypeAlias = tuple[tuple[float, float], ...]
WORD = "word"  # a sprite of this form is its text


def _round(radius_x: float, radius_y: float, *, centre: tuple[float, float] = (0, 0)) -> Points:
    turns = [2 * math.pi * k / 32 for k in range(32)]
    return tuple((centre[0] + radius_x * math.cos(a), centre[1] + radius_y * math.sin(a)) for a in turns)


def _star() -> Points:
    reach = [(1.05 if k % 2 == 0 else 0.42, math.pi * k / 5 - math.pi / 2) for k in range(10)]
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in reach)


def _box(x: float, y: float, *, shift_y: float = 0) -> Points:
    return ((-x, shift_y - y), (x, shift_y - y), (x, shift_y + y), (-x, shift_y + y))


def _closed(points: Points) -> Points:
    return (*points, points[0])


_CORNERS: dict[str, Points] = {  # the seven strokes of a digit
    "a": ((-0.55, -0.85), (0.55, -0.85)),
    "b": ((0.55, -0.85), (0.55, 0)),
    "c": ((0.55, 0), (0.55, 0.85)),
    "d": ((-0.55, 0.85), (0.55, 0.85)),
    "e": ((-0.55, 0), (-0.55, 0.85)),
    "f": ((-0.55, -0.85), (-0.55, 0)),
    "g": ((-0.55, 0), (0.55, 0)),
}
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
Stroke: TypeAlias = tuple[Literal["fill", "line", "cut"], Points, float]

_FIGURES: dict[str, tuple[Stroke, ...]] = {
    "circle": (("fill", _round(1, 1), 0),),
    "square": (("fill", _box(0.9, 0.9), 0),),
    "triangle": (("fill", ((0, -1), (1, 0.9), (-1, 0.9)), 0),),
    "ring": (("fill", _round(1, 1), 0), ("cut", _round(0.6, 0.6), 0)),
    "frame": (("fill", _box(0.95, 0.95), 0), ("cut", _box(0.55, 0.55), 0)),
    "cross": (("line", ((-0.85, -0.85), (0.85, 0.85)), 0.42), ("line", ((-0.85, 0.85), (0.85, -0.85)), 0.42)),
    "plus": (("line", ((-1, 0), (1, 0)), 0.45), ("line", ((0, -1), (0, 1)), 0.45)),
    "diamond": (("fill", ((0, -1.05), (0.8, 0), (0, 1.05), (-0.8, 0)), 0),),
    "funnel": (("fill", ((-1, -0.9), (1, -0.9), (0, 1)), 0),),
    "bars": tuple(("fill", _box(1, 0.2, shift_y=y), 0) for y in (-0.8, 0, 0.8)),
    "ellipse": (("fill", _round(1.15, 0.5), 0),),
    "star": (("fill", _star(), 0),),
    "dot": (("fill", _round(1, 1), 0),),
    "heart": (
        ("fill", _round(0.52, 0.52, centre=(-0.46, -0.4)), 0),
        ("fill", _round(0.52, 0.52, centre=(0.46, -0.4)), 0),
        ("fill", ((-0.93, -0.15), (0.93, -0.15), (0, 1)), 0),
    ),
    "moon": (("fill", _round(1, 1), 0), ("cut", _round(0.85, 0.85, centre=(0.5, -0.15)), 0)),
    "house": (("fill", ((0, -1), (1, -0.1), (-1, -0.1)), 0), ("fill", _box(0.65, 0.55, shift_y=0.45), 0)),
    "tree": (("fill", ((0, -1.05), (0.75, 0.4), (-0.75, 0.4)), 0), ("fill", _box(0.18, 0.35, shift_y=0.65), 0)),
    "flag": (("line", ((-0.6, -1), (-0.6, 1)), 0.22), ("fill", ((-0.6, -1), (0.9, -0.5), (-0.6, 0.05)), 0)),
    "button": (("fill", _box(1.3, 0.5), 0),),
    "arrow": (("line", ((0, 0.95), (0, -0.3)), 0.3), ("fill", ((0, -1.05), (0.65, -0.15), (-0.65, -0.15)), 0)),
    # Figures that no turn makes into their own mirror image.
    "hook": (
        ("line", ((-0.5, 0.9), (-0.5, -0.85)), 0.3),
        ("line", ((-0.5, -0.85), (0.65, -0.85)), 0.3),
        ("line", ((-0.5, -0.05), (0.3, -0.05)), 0.3),
    ),
    "elbow": (("line", ((-0.5, -0.9), (-0.5, 0.75)), 0.35), ("line", ((-0.5, 0.75), (0.5, 0.75)), 0.35)),
    "paddle": (("line", ((-0.45, -0.9), (-0.45, 0.95)), 0.25), ("fill", _box(0.55, 0.45, shift_y=-0.5), 0)),
    "anchor": (
        ("line", ((0, -0.9), (0, 0.85)), 0.25),
        ("line", ((-0.5, -0.45), (0.5, -0.45)), 0.25),
        ("line", ((-0.85, 0.2), (-0.6, 0.75), (0, 0.95), (0.6, 0.75), (0.85, 0.2)), 0.25),
    ),
}
_DIGIT_FORMS: dict[str, tuple[Stroke, ...]] = {
    str(digit): tuple(("line", _CORNERS[corner], 0.3) for corner in strokes) for digit, strokes in enumerate(_DIGITS)
}
FORMS = _FIGURES | _DIGIT_FORMS
